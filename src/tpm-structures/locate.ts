/**
 * Fields of a decoded message by their path, and messages with another value in one of them.
 *
 * A path has the names of Part 2 and 3: `data.count`, `digests[0].digest`, `randomBytes.size`, `sessions[0].nonce`, `header.tag`.
 * What only wraps is no step of it: a TPM2B and what is in it are one step, and so are a TPML and its elements, a union and what
 * was chosen. Behind the last step may stand `size` (of a TPM2B; `sizeofSelect` of a PCR selection) or `count` (of a list).
 * Steps may be left out as long as one field only is meant.
 */
import { contentOf, type FieldNode, pathOf, sizeBytes } from './fields.ts'
import { type DecodedMessage, HEADER_BYTES } from './message.ts'

export interface Location {
  /** Bytes from the start of the message. */
  readonly offset: number
  /** In bytes; of a TPM2B without its size. */
  readonly length: number
  /** A number's bytes are replaced by as many; other bytes may become more or fewer. */
  readonly kind: 'number' | 'bytes'
  /** The whole path. */
  readonly path: string
  readonly field: FieldNode
}

const steps = (path: string): string[] => path.toLowerCase().match(/[^.[\]]+|\[\d+\]/g) ?? []

/** All fields that have a path, with it: `size` and `count` among them. */
function* locations(bytes: Buffer, field: FieldNode): Generator<Location> {
  const path = pathOf(field)
  const { type } = field
  if (path !== '') {
    const prefix = sizeBytes(field)
    if (type.kind === 'number')
      yield { offset: field.offset, length: type.width, kind: 'number', path, field }
    else {
      yield { offset: field.offset + prefix, length: field.length - prefix, kind: 'bytes', path, field }
      if (prefix > 0) {
        const name = type.kind === 'list' ? 'count' : type.kind === 'bytes' ? type.sizeName : 'size'
        yield { offset: field.offset, length: prefix, kind: 'number', path: `${path}.${name}`, field }
      }
    }
  }
  for (const child of field.children) yield* locations(bytes, child)
}

/** How well a path fits a question: 3 is the same, 2 ends so, 1 has these steps in this order, 0 is another. */
function fit(path: readonly string[], asked: readonly string[]): number {
  if (asked.length > path.length) return 0
  if (asked.every((step, index) => step === path[path.length - asked.length + index]))
    return asked.length === path.length ? 3 : 2
  if (asked.at(-1) !== path.at(-1)) return 0
  let next = 0
  for (const step of path) if (step === asked[next]) next++
  return next === asked.length ? 1 : 0
}

/** Not looked in for a path that leaves steps out. */
const isFrame = (path: string): boolean => /^(header|sessions\[|authorizationSize|parameterSize)/.test(path)

/** All fields that a path may mean: one, if it is clear. */
export function candidates(message: DecodedMessage, path: string): Location[] {
  const asked = steps(path)
  if (asked.length === 0) return []
  let best = 0
  let found: Location[] = []
  for (const location of locations(message.bytes, message.fields)) {
    let quality = fit(steps(location.path), asked)
    // A parameter goes before a field of the frame; `sessions[0].hmac` and `header.size` say which they mean.
    if (quality > 0 && quality < 3 && isFrame(location.path)) quality = 0.5
    if (quality < best || quality === 0) continue
    if (quality > best) found = []
    best = quality
    found.push(location)
  }
  return found
}

/** @returns undefined: the message has no such field, or the path may mean several */
export function locate(message: DecodedMessage, path: string): Location | undefined {
  const found = candidates(message, path)
  return found.length === 1 ? found[0] : undefined
}

/** The paths of all fields of a message, for "did you mean". */
export const fieldPaths = (message: DecodedMessage): string[] =>
  Array.from(locations(message.bytes, message.fields), ({ path }) => path)

export type FieldValue = number | bigint | Uint8Array | string

/**
 * The message with another value in one field.
 *
 * The rule: a number replaces as many bytes, and nothing else changes, also where it is a size or a count. Bytes replace the
 * content of the field; if they are more or fewer, then its own size, the sizes of what encloses it, `authorizationSize` or
 * `parameterSize`, and the header's size change by as much. Counts never do.
 *
 * @param value for a number: a number, or its word in Part 2; for bytes: bytes or hex digits
 * @throws RangeError naming the field: there is none, there are several, the value is no such value
 */
export function setField(message: DecodedMessage, path: string, value: FieldValue): Buffer {
  const found = candidates(message, path)
  const [location] = found
  if (location === undefined) throw new RangeError(`there is no field "${path}"`)
  if (found.length > 1)
    throw new RangeError(
      `"${path}" may be ${found
        .slice(0, 3)
        .map((one) => one.path)
        .join(' or ')}`,
    )
  return location.kind === 'number'
    ? withNumber(message.bytes, location, numberFrom(location, value))
    : withBytes(message, location, bytesFrom(location, value))
}

function withNumber(bytes: Buffer, { offset, length, path }: Location, value: bigint): Buffer {
  const highest = 1n << BigInt(8 * length)
  if (value >= highest || value < -(highest >> 1n))
    throw new RangeError(`${path} has ${length} bytes: ${value} does not fit`)
  const changed = Buffer.from(bytes)
  for (let index = 0; index < length; index++)
    changed[offset + index] = Number((value >> BigInt(8 * (length - 1 - index))) & 0xffn)
  return changed
}

function withBytes(message: DecodedMessage, { offset, length, field }: Location, value: Buffer): Buffer {
  const { bytes } = message
  const changed = Buffer.concat([bytes.subarray(0, offset), value, bytes.subarray(offset + length)])
  const by = value.length - length
  if (by === 0) return changed
  for (let one: FieldNode | undefined = field; one !== undefined; one = one.parent)
    if (one.type.kind !== 'list') grow(changed, one.offset, sizeBytes(one), by)
  if (bytes.length >= HEADER_BYTES) grow(changed, 2, 4, by)
  const frame = message.fields.children.find(({ name }) => /^(authorization|parameter)Size$/.test(name))
  if (frame !== undefined && isCounted(frame, field, Number(frame.value))) grow(changed, frame.offset, 4, by)
  return changed
}

/** Whether a field is within what `authorizationSize` or `parameterSize` counts. */
const isCounted = (size: FieldNode, field: FieldNode, counted: number): boolean =>
  field.offset >= size.offset + size.length && field.offset < size.offset + size.length + counted

/** Adds to a size; one that has no room for it keeps its lowest bytes. */
function grow(bytes: Buffer, offset: number, width: number, by: number): void {
  if (width === 0) return
  const value = bytes.readUIntBE(offset, Math.min(width, 6)) + by
  bytes.writeUIntBE(((value % 2 ** (8 * width)) + 2 ** (8 * width)) % 2 ** (8 * width), offset, width)
}

function numberFrom({ field, path, length }: Location, value: FieldValue): bigint {
  if (typeof value === 'number' || typeof value === 'bigint') return BigInt(value)
  if (typeof value !== 'string') throw new RangeError(`${path} is a number of ${length} bytes`)
  const number = numberIn(field, value)
  if (number === undefined) throw new RangeError(`"${value}" is no value for ${path}`)
  return number
}

/** The number that a word or digits mean in that field. */
export function numberIn({ type }: FieldNode, word: string): bigint | undefined {
  if (/^-?(\d+|0x[0-9a-f]+)$/i.test(word)) return word.startsWith('-') ? -BigInt(word.slice(1)) : BigInt(word)
  const value = type.kind === 'number' ? type.constants?.value(word) : undefined
  return value === undefined ? undefined : BigInt(value)
}

function bytesFrom({ path }: Location, value: FieldValue): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (typeof value === 'string' && /^(0x)?([0-9a-f]{2})*$/i.test(value))
    return Buffer.from(value.replace(/^0x/i, ''), 'hex')
  throw new RangeError(`${path} is bytes: hex digits, two for each`)
}

/** What a field of a message holds, without its size. */
export const fieldContent = (message: DecodedMessage, { field }: Location): Buffer =>
  contentOf(message.bytes, field)
