/**
 * Binary structures, declared once and used in both byte orders.
 *
 * A structure is a value: its fields go in, offsets and size are computed once with the C compiler's natural alignment
 * (or none, for {@link packed}), and {@link ValueOf} gives its TypeScript type. The PTM structures are read in host byte
 * order when they come as ioctl arguments and big-endian when they come over the control channel, from one declaration.
 */

/** How a structure lies on a wire. */
export interface Layout {
  readonly littleEndian: boolean
  /** Whether a {@link trailing} array takes its whole capacity or only the bytes it holds. */
  readonly trailing: 'whole' | 'used'
}

/** ioctl arguments and the FUSE protocol: host byte order, arrays at full size. */
export const HOST: Layout = {
  littleEndian: new Uint8Array(new Uint16Array([1]).buffer)[0] === 1,
  trailing: 'whole',
}

/** The control channel, the engine channel and everything the TCG defines: big-endian, arrays as long as their data. */
export const BIG: Layout = { littleEndian: false, trailing: 'used' }

/** The linear state file: little-endian on every machine. */
export const LITTLE: Layout = { littleEndian: true, trailing: 'used' }

export interface Field<T> {
  readonly size: number
  readonly align: number
  /** True for an array that may be shorter than `size` on a wire whose layout says so. */
  readonly trailing?: true
  read(view: DataView, offset: number, layout: Layout): T
  write(view: DataView, offset: number, value: T, layout: Layout): void
}

type Fields = Readonly<Record<string, Field<never> | Field<number> | Field<bigint> | Field<Buffer>>>

type FieldValue<F> = F extends Field<infer T> ? T : never

/** The decoded form of a structure. */
export type ValueOf<S> = S extends Struct<infer F> ? { [K in keyof F]: FieldValue<F[K]> } : never

export const u8: Field<number> = {
  size: 1,
  align: 1,
  read: (view, offset) => view.getUint8(offset),
  write: (view, offset, value) => view.setUint8(offset, value),
}

export const u16: Field<number> = {
  size: 2,
  align: 2,
  read: (view, offset, layout) => view.getUint16(offset, layout.littleEndian),
  write: (view, offset, value, layout) => view.setUint16(offset, value, layout.littleEndian),
}

export const u32: Field<number> = {
  size: 4,
  align: 4,
  read: (view, offset, layout) => view.getUint32(offset, layout.littleEndian),
  write: (view, offset, value, layout) => view.setUint32(offset, value >>> 0, layout.littleEndian),
}

export const i32: Field<number> = {
  size: 4,
  align: 4,
  read: (view, offset, layout) => view.getInt32(offset, layout.littleEndian),
  write: (view, offset, value, layout) => view.setInt32(offset, value, layout.littleEndian),
}

export const u64: Field<bigint> = {
  size: 8,
  align: 8,
  read: (view, offset, layout) => view.getBigUint64(offset, layout.littleEndian),
  write: (view, offset, value, layout) => view.setBigUint64(offset, value, layout.littleEndian),
}

/**
 * A byte array of `capacity` at the end of a structure. Its value is the bytes it holds; how many count is said by a
 * field of its own (`length`), which the caller reads.
 */
export const trailing = (capacity: number): Field<Buffer> => ({
  size: capacity,
  align: 1,
  trailing: true,
  read: (view, offset, layout) => {
    const length = layout.trailing === 'whole' ? capacity : view.byteLength - offset
    return Buffer.from(view.buffer, view.byteOffset + offset, length)
  },
  write: (view, offset, value) => {
    Buffer.from(view.buffer, view.byteOffset + offset).set(value)
  },
})

const roundUp = (n: number, align: number): number => Math.ceil(n / align) * align

/** Where the fields of a structure are. */
interface Places {
  readonly size: number
  readonly align: number
  readonly fixedSize: number
  readonly entries: readonly (readonly [name: string, offset: number, field: Field<unknown>])[]
  readonly trailing: string | undefined
}

/** @throws RangeError when a field follows a trailing array */
function placesOf(fields: Fields, aligned: boolean): Places {
  const entries: [string, number, Field<unknown>][] = []
  let offset = 0
  let align = 1
  let fixedSize: number | undefined
  let trailing: string | undefined
  for (const [name, declared] of Object.entries(fields)) {
    const field = declared as Field<unknown>
    if (fixedSize !== undefined) throw new RangeError(`field "${name}" stands behind a trailing array`)
    if (aligned) offset = roundUp(offset, field.align)
    if (field.trailing) {
      fixedSize = offset
      trailing = name
    }
    entries.push([name, offset, field])
    offset += field.size
    align = Math.max(align, field.align)
  }
  const size = aligned ? roundUp(offset, align) : offset
  return { entries, trailing, size, align: aligned ? align : 1, fixedSize: fixedSize ?? size }
}

/** A structure of named fields; made by {@link struct} or {@link packed}. */
export class Struct<F extends Fields> {
  readonly #fields: F
  readonly #aligned: boolean
  #found: Places | undefined

  constructor(fields: F, aligned: boolean) {
    this.#fields = fields
    this.#aligned = aligned
  }

  /** Found when they are first needed: of more than a hundred structures a start of swtpm uses ten. */
  get #places(): Places {
    this.#found ??= placesOf(this.#fields, this.#aligned)
    return this.#found
  }

  /** Size in bytes with every array at its capacity and, unless packed, the C compiler's tail padding. */
  get size(): number {
    return this.#places.size
  }

  get align(): number {
    return this.#places.align
  }

  /** Bytes before the trailing array; the whole size where there is none. */
  get fixedSize(): number {
    return this.#places.fixedSize
  }

  /** The fields in their order; `bytes` tells that one is a byte array. What documents a structure reads it here. */
  get fields(): { readonly name: string; readonly size: number; readonly bytes: boolean }[] {
    return this.#places.entries.map(([name, , { size, trailing }]) => ({
      name,
      size,
      bytes: trailing === true,
    }))
  }

  /**
   * Reads the structure at the start of `bytes`; what follows it is ignored.
   * @throws RangeError when `bytes` is shorter than the structure (without its trailing array, where that may be short).
   */
  decode(bytes: Uint8Array, layout: Layout): ValueOf<Struct<F>> {
    const { entries, size, fixedSize } = this.#places
    const needed = layout.trailing === 'whole' ? size : fixedSize
    if (bytes.length < needed) {
      throw new RangeError(`a structure of ${needed} bytes does not fit into ${bytes.length}`)
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const value: Record<string, unknown> = {}
    for (const [name, offset, field] of entries) value[name] = field.read(view, offset, layout)
    return value as ValueOf<Struct<F>>
  }

  /** @throws RangeError when the trailing array holds more than its capacity. */
  encode(value: ValueOf<Struct<F>>, layout: Layout): Buffer {
    const values = value as Record<string, unknown>
    const { entries, fixedSize, trailing } = this.#places
    let { size } = this.#places
    if (trailing !== undefined) {
      const data = values[trailing] as Buffer
      const capacity = size - fixedSize
      if (layout.trailing === 'used') size = fixedSize + data.length
      else if (data.length > capacity)
        throw new RangeError(`${data.length} bytes do not fit into ${capacity}`)
    }
    const bytes = Buffer.alloc(size)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const [name, offset, field] of entries) field.write(view, offset, values[name], layout)
    return bytes
  }
}

/** A structure laid out as a C compiler does, each field on its natural boundary. */
export const struct = <F extends Fields>(fields: F): Struct<F> => new Struct(fields, true)

/** A structure without padding, as the TCG's headers and the state files have it. */
export const packed = <F extends Fields>(fields: F): Struct<F> => new Struct(fields, false)
