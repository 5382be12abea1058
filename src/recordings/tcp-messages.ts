/**
 * TPM commands and responses out of captured frames: what goes to and comes from TCP port 2321, where software TPMs listen. A
 * message may come in several segments, and a segment may have several messages.
 *
 * Some clients put a frame around each, as the simulator of the specification wants it:
 *
 *     command   u32 8, u8 locality, u32 size, the command
 *     response  u32 size, the response, u32 0
 */
import { HEADER_BYTES, MAX_MESSAGE_BYTES } from '../tpm-structures/message.ts'
import type { RecordedMessage } from './pairing.ts'

const TPM_PORT = 2321
const TCP = 6
/** The simulator's TPM_SEND_COMMAND. */
const SEND_COMMAND = 8
const COMMAND_FRAME_BYTES = 9

/** How many bytes are before the IP header, by link type: loopback of BSD, Ethernet, raw IP, Linux "cooked". */
const LINK_BYTES = new Map([
  [0, 4],
  [1, 14],
  [101, 0],
  [113, 16],
])

type Direction = 'command' | 'response'

/** One direction of a conversation. */
interface Stream {
  /** What has been sent that is no whole message yet. */
  left: Buffer
}

export class TcpMessages {
  readonly #streams = new Map<string, Stream>()
  /** Conversations whose commands have a frame around them, by the client's port. */
  readonly #framed = new Set<number>()

  #streamOf(key: string): Stream {
    let stream = this.#streams.get(key)
    if (stream === undefined) {
      stream = { left: Buffer.alloc(0) }
      this.#streams.set(key, stream)
    }
    return stream
  }

  /** @param at when the frame was captured, in seconds */
  *take(frame: Buffer, linkType: number, at: number): Generator<RecordedMessage> {
    const segment = tcpSegment(frame, linkType)
    if (segment === undefined || segment.payload.length === 0) return
    const { direction, client, payload } = segment
    const stream = this.#streamOf(`${direction} ${client}`)
    stream.left = Buffer.concat([stream.left, payload])
    if (direction === 'command' && isFrame(stream.left)) this.#framed.add(client)
    for (;;) {
      const found = this.#framed.has(client)
        ? framedMessage(stream.left, direction)
        : plainMessage(stream.left)
      if (found === undefined) return
      stream.left = stream.left.subarray(found.bytesTaken)
      yield {
        direction,
        bytes: found.bytes,
        at,
        ...(found.locality !== undefined && { locality: found.locality }),
      }
    }
  }
}

interface Found {
  readonly bytes: Buffer
  readonly bytesTaken: number
  readonly locality?: number
}

/** No TPM has such a tag: the bytes before the locality are the simulator's. */
const isFrame = (left: Buffer): boolean => left.length >= 4 && left.readUInt32BE(0) === SEND_COMMAND

/** @returns undefined: more has to come */
function plainMessage(left: Buffer): Found | undefined {
  if (left.length < HEADER_BYTES) return undefined
  const size = left.readUInt32BE(2)
  // Not what a TPM says: it is shown as it is.
  if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES) return { bytes: left, bytesTaken: left.length }
  return left.length < size ? undefined : { bytes: left.subarray(0, size), bytesTaken: size }
}

/** @returns undefined: more has to come */
function framedMessage(left: Buffer, direction: Direction): Found | undefined {
  const before = direction === 'command' ? COMMAND_FRAME_BYTES : 4
  const after = direction === 'command' ? 0 : 4
  if (left.length < before) return undefined
  const size = left.readUInt32BE(before - 4)
  if (size > MAX_MESSAGE_BYTES) return { bytes: left, bytesTaken: left.length }
  if (left.length < before + size + after) return undefined
  const bytes = left.subarray(before, before + size)
  const bytesTaken = before + size + after
  return direction === 'command' ? { bytes, bytesTaken, locality: left[4]! } : { bytes, bytesTaken }
}

interface Segment {
  readonly direction: Direction
  /** The client's port. */
  readonly client: number
  readonly payload: Buffer
}

/** @returns undefined: no TCP segment of IPv4 to or from a TPM */
function tcpSegment(frame: Buffer, linkType: number): Segment | undefined {
  const ip = frame.subarray(LINK_BYTES.get(linkType) ?? frame.length)
  if (ip.length < 20 || ip[0]! >> 4 !== 4 || ip[9] !== TCP) return undefined
  const total = ip.readUInt16BE(2)
  const tcp = ip.subarray((ip[0]! & 0xf) * 4, total === 0 ? undefined : total)
  if (tcp.length < 20) return undefined
  const [from, to] = [tcp.readUInt16BE(0), tcp.readUInt16BE(2)]
  if (from !== TPM_PORT && to !== TPM_PORT) return undefined
  return {
    direction: to === TPM_PORT ? 'command' : 'response',
    client: to === TPM_PORT ? from : to,
    payload: tcp.subarray((tcp[12]! >> 4) * 4),
  }
}
