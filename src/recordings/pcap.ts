/** Reads TPM commands and responses from a pcap file of the older format, which tcpdump writes. @see pcap-savefile(5) */
import type { RecordedMessage } from './pairing.ts'
import { TcpMessages } from './tcp-messages.ts'

const HEADER_BYTES = 24
const PACKET_HEADER_BYTES = 16
/** A packet that says it is longer is damaged. */
const MAX_PACKET_BYTES = 1 << 20

/** The magic number, as the first four bytes, and what it says: byte order, and ticks in a second. */
const MAGICS = new Map([
  ['a1b2c3d4', { littleEndian: false, resolution: 1e6 }],
  ['d4c3b2a1', { littleEndian: true, resolution: 1e6 }],
  ['a1b23c4d', { littleEndian: false, resolution: 1e9 }],
  ['4d3cb2a1', { littleEndian: true, resolution: 1e9 }],
])

export const isPcap = (first: Buffer): boolean => MAGICS.has(first.toString('hex', 0, 4))

export class PcapReader {
  readonly #note: (problem: string) => void
  readonly #messages = new TcpMessages()
  #left = Buffer.alloc(0)
  #format:
    | { readonly littleEndian: boolean; readonly resolution: number; readonly linkType: number }
    | undefined
  #failed = false

  constructor(note: (problem: string) => void) {
    this.#note = note
  }

  *read(piece: Buffer): Generator<RecordedMessage> {
    if (this.#failed) return
    this.#left = Buffer.concat([this.#left, piece])
    if (this.#format === undefined) {
      if (this.#left.length < HEADER_BYTES) return
      const magic = MAGICS.get(this.#left.toString('hex', 0, 4))!
      const linkType = magic.littleEndian ? this.#left.readUInt16LE(20) : this.#left.readUInt16BE(22)
      this.#format = { ...magic, linkType }
      this.#left = this.#left.subarray(HEADER_BYTES)
    }
    const { littleEndian, resolution, linkType } = this.#format
    const u32 = (at: number): number =>
      littleEndian ? this.#left.readUInt32LE(at) : this.#left.readUInt32BE(at)
    while (this.#left.length >= PACKET_HEADER_BYTES) {
      const [at, length] = [u32(0) + u32(4) / resolution, u32(8)]
      if (length > MAX_PACKET_BYTES) {
        this.#failed = true
        this.#note(`the pcap file is damaged: a packet of ${length} bytes`)
        return
      }
      const end = PACKET_HEADER_BYTES + length
      if (this.#left.length < end) return
      const frame = this.#left.subarray(PACKET_HEADER_BYTES, end)
      this.#left = this.#left.subarray(end)
      yield* this.#messages.take(frame, linkType, at)
    }
  }

  *end(rest?: Buffer): Generator<RecordedMessage> {
    if (rest !== undefined) yield* this.read(rest)
    if (!this.#failed && this.#left.length > 0) this.#note('the pcap file ends within a packet')
  }
}
