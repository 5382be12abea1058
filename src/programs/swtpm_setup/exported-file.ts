/** What an existing TPM has for its user: a file name and what goes into it. */
export interface ExportedFile {
  readonly name: string
  readonly content: Buffer
}

const SEQUENCE = 0x30

/** A certificate without what may follow it in an NVRAM area that was made larger. */
export function certificateIn(area: Buffer): Buffer {
  if (area[0] !== SEQUENCE || area.length < 4) return area
  // X.690: a length of more than 127 bytes says how many bytes it has itself.
  const first = area[1] ?? 0
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (lengthBytes > 4) return area
  const length = lengthBytes === 0 ? first : area.readUIntBE(2, lengthBytes)
  return area.subarray(0, 2 + lengthBytes + length)
}
