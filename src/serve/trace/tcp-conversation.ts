/**
 * TPM commands and responses dressed as a TCP conversation on the loopback, so that any packet analyser shows them: a
 * client with a port of its own talks to port 2321, where software TPMs listen.
 */
const TPM_PORT = 2321
const CLIENT_PORTS = [50_000, 55_000] as const
const LOOPBACK = 0x7f000001
const ETHERNET_BYTES = 14
const IP_BYTES = 20
const TCP_BYTES = 20
const HEADER_BYTES = ETHERNET_BYTES + IP_BYTES + TCP_BYTES
const PROTOCOL_TCP = 6
const DONT_FRAGMENT = 0x4000
const WINDOW = 0xffff

const FIN = 0x01
const SYN = 0x02
const PUSH = 0x08
const ACK = 0x10

/** Who sends. */
export type Direction = 'toTpm' | 'fromTpm'

export class TcpConversation {
  readonly #checksums: boolean
  readonly #clientPort = randomFrom(...CLIENT_PORTS)
  readonly #sequence = { toTpm: randomFrom(0, 2 ** 32), fromTpm: randomFrom(0, 2 ** 32) }

  /** @param checksums compute those of IP and TCP; left 0 otherwise */
  constructor(checksums: boolean) {
    this.#checksums = checksums
  }

  /** SYN, SYN+ACK, ACK. */
  open(): Buffer[] {
    return this.#exchange(SYN)
  }

  /** FIN, FIN+ACK, ACK. */
  close(): Buffer[] {
    return this.#exchange(FIN)
  }

  /** One frame with these bytes. */
  data(direction: Direction, payload: Buffer): Buffer {
    const frame = this.#frame(direction, PUSH | ACK, payload)
    this.#advance(direction, payload.length)
    return frame
  }

  /** One frame without any bytes. */
  acknowledgement(direction: Direction): Buffer {
    return this.#frame(direction, ACK)
  }

  #exchange(flag: number): Buffer[] {
    const first = this.#frame('toTpm', flag === SYN ? SYN : flag | ACK)
    this.#advance('toTpm', 1)
    const second = this.#frame('fromTpm', flag | ACK)
    this.#advance('fromTpm', 1)
    return [first, second, this.#frame('toTpm', ACK)]
  }

  #advance(direction: Direction, by: number): void {
    this.#sequence[direction] = (this.#sequence[direction] + by) >>> 0
  }

  #frame(direction: Direction, flags: number, payload: Buffer = Buffer.alloc(0)): Buffer {
    const frame = Buffer.alloc(HEADER_BYTES + payload.length)
    frame.set(payload, HEADER_BYTES)
    frame.writeUInt16BE(0x0800, 12)

    const ip = frame.subarray(ETHERNET_BYTES)
    ip[0] = 0x45
    ip.writeUInt16BE(IP_BYTES + TCP_BYTES + payload.length, 2)
    ip.writeUInt16BE(DONT_FRAGMENT, 6)
    ip[8] = 64
    ip[9] = PROTOCOL_TCP
    ip.writeUInt32BE(LOOPBACK, 12)
    ip.writeUInt32BE(LOOPBACK, 16)

    const tcp = ip.subarray(IP_BYTES)
    const [source, destination] =
      direction === 'toTpm' ? [this.#clientPort, TPM_PORT] : [TPM_PORT, this.#clientPort]
    tcp.writeUInt16BE(source, 0)
    tcp.writeUInt16BE(destination, 2)
    tcp.writeUInt32BE(this.#sequence[direction], 4)
    const other = direction === 'toTpm' ? 'fromTpm' : 'toTpm'
    tcp.writeUInt32BE(flags & ACK ? this.#sequence[other] : 0, 8)
    tcp[12] = (TCP_BYTES / 4) << 4
    tcp[13] = flags
    tcp.writeUInt16BE(WINDOW, 14)

    if (this.#checksums) {
      ip.writeUInt16BE(checksum(ip.subarray(0, IP_BYTES)), 10)
      // TCP sums a pseudo header too: both addresses, the protocol, the length of the segment.
      const pseudo = Buffer.alloc(12)
      ip.copy(pseudo, 0, 12, 20)
      pseudo[9] = PROTOCOL_TCP
      pseudo.writeUInt16BE(tcp.length, 10)
      tcp.writeUInt16BE(checksum(pseudo, tcp), 16)
    }
    return frame
  }
}

/** `from` … `to` - 1. It need not be unpredictable; loading node:crypto would slow the start. */
const randomFrom = (from: number, to: number): number => from + Math.floor(Math.random() * (to - from))

/** The internet checksum. @see RFC 1071 */
function checksum(...parts: Buffer[]): number {
  let sum = 0
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += (part[at]! << 8) | (part[at + 1] ?? 0)
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
