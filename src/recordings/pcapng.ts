/**
 * Reads TPM commands and responses from pcapng files: those of `--pcap`, and others of what went over TCP.
 * @see src/serve/trace, which writes them; https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html
 */
import type { RecordedMessage, RecordedStrike } from './pairing.ts'
import { TcpMessages } from './tcp-messages.ts'

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const OPTION_COMMENT = 1
const OPTION_RESOLUTION = 9
/** A block that says it is longer is damaged. */
const MAX_BLOCK_BYTES = 1 << 20

export const isPcapng = (first: Buffer): boolean => first.readUInt32BE(0) === SECTION_HEADER

interface Interface {
  readonly linkType: number
  /** Ticks in a second. */
  readonly resolution: number
}

export class PcapngReader {
  readonly #note: (problem: string) => void
  #left = Buffer.alloc(0)
  #littleEndian = true
  #interfaces: Interface[] = []
  #messages = new TcpMessages()
  #failed = false

  constructor(note: (problem: string) => void) {
    this.#note = note
  }

  *read(piece: Buffer): Generator<RecordedMessage | RecordedStrike> {
    if (this.#failed) return
    this.#left = Buffer.concat([this.#left, piece])
    for (;;) {
      const block = this.#nextBlock()
      if (block === undefined) return
      yield* this.#block(block)
    }
  }

  *end(rest?: Buffer): Generator<RecordedMessage | RecordedStrike> {
    if (rest !== undefined) yield* this.read(rest)
    if (!this.#failed && this.#left.length > 0) this.#note('the pcapng file ends within a block')
  }

  #u32 = (bytes: Buffer, at: number): number =>
    this.#littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)
  #u16 = (bytes: Buffer, at: number): number =>
    this.#littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)

  /** The type and body of the next whole block. */
  #nextBlock(): { type: number; body: Buffer } | undefined {
    const bytes = this.#left
    if (bytes.length < 12) return undefined
    // The type of a section is the same in both byte orders, and says which one the section has.
    if (bytes.readUInt32BE(0) === SECTION_HEADER)
      this.#littleEndian = bytes.readUInt32LE(8) === BYTE_ORDER_MAGIC
    const length = this.#u32(bytes, 4)
    if (length < 12 || length % 4 !== 0 || length > MAX_BLOCK_BYTES) {
      this.#failed = true
      this.#note(`the pcapng file is damaged: a block of ${length} bytes`)
      return undefined
    }
    if (bytes.length < length) return undefined
    this.#left = bytes.subarray(length)
    return { type: this.#u32(bytes, 0), body: bytes.subarray(8, length - 4) }
  }

  *#block({ type, body }: { type: number; body: Buffer }): Generator<RecordedMessage | RecordedStrike> {
    if (type === SECTION_HEADER) {
      this.#interfaces = []
      this.#messages = new TcpMessages()
    } else if (type === INTERFACE_DESCRIPTION && body.length >= 8) {
      this.#interfaces.push({ linkType: this.#u16(body, 0), resolution: this.#resolution(body) })
    } else if (type === ENHANCED_PACKET && body.length >= 20) yield* this.#packet(body)
  }

  /** @returns ticks in a second: 10⁶, unless an option says another power of 10 or 2 */
  #resolution(body: Buffer): number {
    const [power] = this.#option(body.subarray(8), OPTION_RESOLUTION) ?? []
    if (power === undefined) return 1e6
    return power & 0x80 ? 2 ** (power & 0x7f) : 10 ** power
  }

  /** @returns the value of the first option of this code */
  #option(options: Buffer, wanted: number): Buffer | undefined {
    for (let at = 0; at + 4 <= options.length; ) {
      const [code, length] = [this.#u16(options, at), this.#u16(options, at + 2)]
      if (code === wanted) return options.subarray(at + 4, at + 4 + length)
      if (code === 0) break
      at += 4 + Math.ceil(length / 4) * 4
    }
    return undefined
  }

  *#packet(body: Buffer): Generator<RecordedMessage | RecordedStrike> {
    const link = this.#interfaces[this.#u32(body, 0)]
    if (link === undefined) return
    const at = (this.#u32(body, 4) * 2 ** 32 + this.#u32(body, 8)) / link.resolution
    const length = this.#u32(body, 12)
    yield* this.#messages.take(body.subarray(20, 20 + length), link.linkType, at)
    const fault = this.#option(body.subarray(20 + Math.ceil(length / 4) * 4), OPTION_COMMENT)?.toString()
    if (fault?.startsWith('fault ')) yield { fault }
  }
}
