/**
 * Writes TPM commands and responses to a pcapng file.
 * @see swtpm(8) --pcap; https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html
 */
import { closeSync, constants, fchmodSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { HOST, packed, u16, u32, u64 } from '../../../contract/struct.ts'
import { SwtpmError } from '../../system/errors.ts'
import { log } from '../../system/log.ts'
import { reasonOf } from '../../system/reason.ts'
import { TPM_CC } from '../../tpm-structures/command-codes.ts'
import { HEADER_BYTES } from '../../tpm-structures/message.ts'
import { TcpConversation } from './tcp-conversation.ts'
import type { Trace, WholeExchange } from './trace.ts'

export interface PcapConfig {
  readonly destination:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'fd'; readonly fd: number }
  readonly mode: number
  readonly truncate: boolean
  readonly checksums: boolean
}

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const LINK_TYPE_ETHERNET = 1
const UNKNOWN_LENGTH = 0xffff_ffff_ffff_ffffn

const sectionHeader = packed({ magic: u32, major: u16, minor: u16, sectionLength: u64 })
const interfaceDescription = packed({ linkType: u16, reserved: u16, snapLength: u32 })
/** The time is in µs since 1970, as two words. */
const enhancedPacket = packed({ interface: u32, timeHigh: u32, timeLow: u32, captured: u32, original: u32 })

const SECTION = pcapBlock(
  SECTION_HEADER,
  sectionHeader.encode({ magic: BYTE_ORDER_MAGIC, major: 1, minor: 0, sectionLength: UNKNOWN_LENGTH }, HOST),
)
const INTERFACE = pcapBlock(
  INTERFACE_DESCRIPTION,
  interfaceDescription.encode({ linkType: LINK_TYPE_ETHERNET, reserved: 0, snapLength: 0 }, HOST),
)

/** Type, length, body padded to 4 bytes, length again. */
function pcapBlock(type: number, body: Buffer): Buffer {
  const padded = Math.ceil(body.length / 4) * 4
  const block = Buffer.alloc(12 + padded)
  const word = packed({ value: u32 })
  block.set(word.encode({ value: type }, HOST), 0)
  block.set(word.encode({ value: block.length }, HOST), 4)
  block.set(body, 8)
  block.set(word.encode({ value: block.length }, HOST), 8 + padded)
  return block
}

const OPT_COMMENT = 1
const OPT_END = Buffer.alloc(4)
/** Its length has two bytes. */
const MAX_COMMENT_BYTES = 0xfff0

/** Code, length, text padded to 4 bytes. */
function option(code: number, text: string): Buffer {
  const bytes = Buffer.from(text).subarray(0, MAX_COMMENT_BYTES)
  const field = packed({ code: u16, length: u16 }).encode({ code, length: bytes.length }, HOST)
  return Buffer.concat([field, bytes, Buffer.alloc(-bytes.length & 3)])
}

const TPM_ST_NO_SESSIONS = 0x8001
const TPM_ST_SESSIONS = 0x8002
const TAG_COMMENT =
  "Linux's vTPM proxy gives SetLocality the tag 8002, of sessions, and no sessions; here it has 8001"

/** What dissectors would call malformed. @see drivers/char/tpm/tpm_vtpm_proxy.c of Linux, vtpm_proxy_request_locality() */
const isTaggedWithoutSessions = (command: Buffer): boolean =>
  command.length === HEADER_BYTES + 1 &&
  command.readUInt16BE(0) === TPM_ST_SESSIONS &&
  command.readUInt32BE(6) === TPM_CC.SetLocality

function withoutTag(command: Buffer): Buffer {
  const copy = Buffer.from(command)
  copy.writeUInt16BE(TPM_ST_NO_SESSIONS, 0)
  return copy
}

export class PcapFile implements Trace {
  readonly #fd: number
  readonly #conversation: TcpConversation
  /** Where the next block goes; null: that is no regular file. */
  #position: number | null = null
  #failed = false

  /** @throws SwtpmError SWTPM_ERR_LOG: it cannot be opened, or not be written to */
  constructor({ destination, mode, truncate, checksums }: PcapConfig) {
    try {
      this.#fd = destination.kind === 'fd' ? destination.fd : openPcap(destination.path, mode)
      writeSync(this.#fd, Buffer.alloc(0))
      if (truncate) ftruncateSync(this.#fd)
      // A descriptor may be anywhere in its file, and may be a pipe or a device, whose mode is not ours to change.
      const status = fstatSync(this.#fd)
      if (status.isFile()) {
        fchmodSync(this.#fd, mode)
        this.#position = status.size
      }
      // This begins a new section, also in a file that has some already.
      this.#write(Buffer.concat([SECTION, INTERFACE]))
    } catch (error) {
      const name = destination.kind === 'fd' ? `descriptor ${destination.fd}` : `"${destination.path}"`
      throw new SwtpmError('SWTPM_ERR_LOG', `Cannot open pcap file ${name}: ${reasonOf(error)}`, {
        cause: error,
      })
    }
    this.#conversation = new TcpConversation(checksums)
    for (const frame of this.#conversation.open()) this.#packet(nowUs(), frame)
  }

  /** @param timeUs when it passed, in µs since 1970 */
  record(direction: 'command' | 'response', timeUs: bigint, bytes: Buffer): void {
    if (direction === 'response') this.#packet(timeUs, this.#conversation.data('fromTpm', bytes))
    else if (isTaggedWithoutSessions(bytes))
      this.#packet(timeUs, this.#conversation.data('toTpm', withoutTag(bytes)), TAG_COMMENT)
    else this.#packet(timeUs, this.#conversation.data('toTpm', bytes))
  }

  /** An acknowledgement, which has no bytes, says so in a comment: there may be no response. */
  struck(fault: string): void {
    this.#packet(nowUs(), this.#conversation.acknowledgement('fromTpm'), fault)
  }

  whole({ command, beganUs, response, endedUs, faults }: WholeExchange): void {
    this.record('command', beganUs, command)
    for (const fault of faults) this.struck(fault)
    if (response !== undefined) this.record('response', endedUs, response)
  }

  close(): void {
    for (const frame of this.#conversation.close()) this.#packet(nowUs(), frame)
    closeSync(this.#fd)
  }

  #write(bytes: Buffer): void {
    const written = writeSync(this.#fd, bytes, 0, bytes.length, this.#position)
    if (this.#position !== null) this.#position += written
  }

  #packet(timeUs: bigint, frame: Buffer, comment?: string): void {
    const header = {
      interface: 0,
      timeHigh: Number(timeUs >> 32n),
      timeLow: Number(timeUs & 0xffffffffn),
      captured: frame.length,
      original: frame.length,
    }
    const options =
      comment === undefined ? [] : [Buffer.alloc(-frame.length & 3), option(OPT_COMMENT, comment), OPT_END]
    this.#block(ENHANCED_PACKET, Buffer.concat([enhancedPacket.encode(header, HOST), frame, ...options]))
  }

  #block(type: number, body: Buffer): void {
    if (this.#failed) return
    try {
      this.#write(pcapBlock(type, body))
    } catch (error) {
      // A full disk ends the trace, not the TPM.
      this.#failed = true
      log.error(`Cannot write to the pcap file: ${reasonOf(error)}; nothing more is traced`)
    }
  }
}

function openPcap(path: string, mode: number): number {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants
  return openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode)
}

const nowUs = (): bigint => BigInt(Date.now()) * 1000n
