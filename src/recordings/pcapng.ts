/**
 * Reads TPM commands and responses from pcapng files: those of `--pcap`, and others that have a TCP conversation with port 2321.
 * @see src/serve/trace, which writes them; https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html
 */
import { HEADER_BYTES, MAX_MESSAGE_BYTES } from '../tpm-structures/message.ts'
import type { RecordedMessage } from './pairing.ts'

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const OPTION_RESOLUTION = 9
/** A block that says it is longer is damaged. */
const MAX_BLOCK_BYTES = 1 << 20
const TPM_PORT = 2321

/** How many bytes are before the IP header, by link type: Ethernet, raw IP, Linux "cooked". */
const LINK_BYTES = new Map([
  [1, 14],
  [101, 0],
  [113, 16],
])

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
  /** What each direction of a conversation has sent that is no whole message yet. */
  #streams = new Map<string, Buffer>()
  #failed = false

  constructor(note: (problem: string) => void) {
    this.#note = note
  }

  *read(piece: Buffer): Generator<RecordedMessage> {
    if (this.#failed) return
    this.#left = Buffer.concat([this.#left, piece])
    for (;;) {
      const block = this.#nextBlock()
      if (block === undefined) return
      yield* this.#block(block)
    }
  }

  *end(rest?: Buffer): Generator<RecordedMessage> {
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

  *#block({ type, body }: { type: number; body: Buffer }): Generator<RecordedMessage> {
    if (type === SECTION_HEADER) {
      this.#interfaces = []
      this.#streams = new Map()
    } else if (type === INTERFACE_DESCRIPTION && body.length >= 8) {
      this.#interfaces.push({ linkType: this.#u16(body, 0), resolution: this.#resolution(body) })
    } else if (type === ENHANCED_PACKET && body.length >= 20) yield* this.#packet(body)
  }

  /** @returns ticks in a second: 10⁶, unless an option says another power of 10 or 2 */
  #resolution(body: Buffer): number {
    for (let at = 8; at + 4 <= body.length; ) {
      const [code, length] = [this.#u16(body, at), this.#u16(body, at + 2)]
      if (code === OPTION_RESOLUTION && at + 4 < body.length) {
        const power = body[at + 4]!
        return power & 0x80 ? 2 ** (power & 0x7f) : 10 ** power
      }
      if (code === 0) break
      at += 4 + Math.ceil(length / 4) * 4
    }
    return 1e6
  }

  *#packet(body: Buffer): Generator<RecordedMessage> {
    const link = this.#interfaces[this.#u32(body, 0)]
    if (link === undefined) return
    const at = (this.#u32(body, 4) * 2 ** 32 + this.#u32(body, 8)) / link.resolution
    const frame = body.subarray(20, 20 + this.#u32(body, 12))
    const segment = tcpSegment(frame, link.linkType)
    if (segment === undefined || segment.payload.length === 0) return
    const { key, direction, payload } = segment
    let stream = Buffer.concat([this.#streams.get(key) ?? Buffer.alloc(0), payload])
    // A message may come in several segments, and a segment may have several messages.
    while (stream.length >= HEADER_BYTES) {
      const size = stream.readUInt32BE(2)
      if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES) {
        // Not what a TPM says: the segment is shown as it is.
        yield { direction, bytes: stream, at }
        stream = Buffer.alloc(0)
        break
      }
      if (stream.length < size) break
      yield { direction, bytes: stream.subarray(0, size), at }
      stream = stream.subarray(size)
    }
    this.#streams.set(key, stream)
  }
}

interface Segment {
  /** The same for all segments of one direction of a conversation. */
  readonly key: string
  readonly direction: 'command' | 'response'
  readonly payload: Buffer
}

/** @returns undefined: no TCP segment of IPv4 to or from a TPM */
function tcpSegment(frame: Buffer, linkType: number): Segment | undefined {
  const ip = frame.subarray(LINK_BYTES.get(linkType) ?? frame.length)
  if (ip.length < 20 || ip[0]! >> 4 !== 4 || ip[9] !== 6) return undefined
  const total = ip.readUInt16BE(2)
  const tcp = ip.subarray((ip[0]! & 0xf) * 4, total === 0 ? undefined : total)
  if (tcp.length < 20) return undefined
  const [from, to] = [tcp.readUInt16BE(0), tcp.readUInt16BE(2)]
  if (from !== TPM_PORT && to !== TPM_PORT) return undefined
  return {
    key: `${from}-${to}`,
    direction: to === TPM_PORT ? 'command' : 'response',
    payload: tcp.subarray((tcp[12]! >> 4) * 4),
  }
}
