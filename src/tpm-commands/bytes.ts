/** Big-endian bytes, as every TPM structure has them: small writers to concatenate, and a reader that never runs over. */

export const u8 = (value: number): Buffer => Buffer.from([value])

export function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16BE(value)
  return buffer
}

export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

export const concat = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts)

/** A TPM2B: a 16-bit length, then the bytes. */
export const sized16 = (...parts: readonly Uint8Array[]): Buffer => {
  const content = concat(...parts)
  return concat(u16(content.length), content)
}

/** The same with the 32-bit length of TPM 1.2. */
export const sized32 = (...parts: readonly Uint8Array[]): Buffer => {
  const content = concat(...parts)
  return concat(u32(content.length), content)
}

export class ByteReader {
  readonly #buffer: Buffer
  #offset = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  /** @throws RangeError when fewer than `length` bytes are left */
  bytes(length: number): Buffer {
    const end = this.#offset + length
    if (end > this.#buffer.length) {
      throw new RangeError("the TPM's response is too short")
    }
    const part = this.#buffer.subarray(this.#offset, end)
    this.#offset = end
    return part
  }

  u8(): number {
    return this.bytes(1).readUInt8()
  }

  u16(): number {
    return this.bytes(2).readUInt16BE()
  }

  u32(): number {
    return this.bytes(4).readUInt32BE()
  }

  sized16(): Buffer {
    return this.bytes(this.u16())
  }

  sized32(): Buffer {
    return this.bytes(this.u32())
  }
}
