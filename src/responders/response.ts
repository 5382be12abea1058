/** What a client is given for a command: bytes, and how they get to it. */

import type { TpmVersion } from '../../contract/engine-options.ts'
import type { DecodedCommand } from '../tpm-structures/decode-command.ts'
import { decodeResponse } from '../tpm-structures/decode-response.ts'
import { HEADER_BYTES } from '../tpm-structures/message.ts'
import { resultText } from '../tpm-structures/result-codes.ts'
import type { Alteration } from './alteration.ts'

/** How a response gets to the client. */
export type Delivery =
  | { readonly how: 'whole' }
  /** In pieces of so many bytes, and a pause between them. */
  | { readonly how: 'pieces'; readonly sizeBytes: number; readonly pauseMs: number }
  | { readonly how: 'twice' }
  /** Not at all; the client may send its next command. */
  | { readonly how: 'silence' }
  /** Not at all: its connection is closed. */
  | { readonly how: 'hangUp' }
  /** As the errno of read(), which only a CUSE device can give. */
  | { readonly how: 'errno'; readonly errno: number }

const WHOLE: Delivery = { how: 'whole' }
const NOTHING: readonly Delivery['how'][] = ['silence', 'hangUp', 'errno']
const TAG_RSP_COMMAND = 0x00c4
const TAG_NO_SESSIONS = 0x8001

/** The command that a response is for. */
export interface Asked {
  readonly version: TpmVersion
  readonly command: DecodedCommand
}

export class Response {
  /** What the client gets, or would get: whatever bytes a responder has made them. Empty where there is no response. */
  readonly bytes: Buffer
  readonly delivery: Delivery
  readonly #asked: Asked
  #parameters: Readonly<Record<string, unknown>> | undefined

  constructor(asked: Asked, bytes: Buffer, delivery: Delivery = WHOLE) {
    this.#asked = asked
    this.bytes = bytes
    this.delivery = delivery
  }

  /** A header alone, with this code. */
  static ofCode(asked: Asked, code: number): Response {
    const bytes = Buffer.alloc(HEADER_BYTES)
    bytes.writeUInt16BE(asked.version === '2' ? TAG_NO_SESSIONS : TAG_RSP_COMMAND, 0)
    bytes.writeUInt32BE(HEADER_BYTES, 2)
    bytes.writeUInt32BE(code, 6)
    return new Response(asked, bytes)
  }

  /** Nothing, in one of the ways in which there can be nothing. */
  static none(asked: Asked, delivery: Delivery): Response {
    return new Response(asked, Buffer.alloc(0), delivery)
  }

  /** The response code, TPM_RC or TPM_RESULT; undefined where the bytes are too few to have one. */
  get code(): number | undefined {
    return this.bytes.length < HEADER_BYTES ? undefined : this.bytes.readUInt32BE(6)
  }

  /** The response code in words: `SUCCESS`, `HANDLE at handle 1 (objectHandle)`. */
  get text(): string {
    const { code } = this
    if (this.delivery.how === 'errno') return `errno ${this.delivery.errno}`
    if (code === undefined) return this.delivery.how === 'hangUp' ? 'hang-up' : 'no response'
    return resultText(code, this.#asked.version, this.#asked.command.row)
  }

  /** By the names of Part 3; decoded when first asked for. What cannot be decoded is not there. */
  get parameters(): Readonly<Record<string, unknown>> {
    this.#parameters ??= decodeResponse(this.bytes, this.#asked.command).parameters
    return this.#parameters
  }

  /** The same with other bytes. */
  withBytes(bytes: Buffer): Response {
    return new Response(this.#asked, bytes, this.delivery)
  }

  /** The same bytes in another way. Where there is nothing, that cannot come in pieces, or twice. */
  delivered(delivery: Delivery): Response {
    const some = delivery.how === 'pieces' || delivery.how === 'twice'
    if (some && NOTHING.includes(this.delivery.how)) return this
    return new Response(this.#asked, this.bytes, delivery)
  }

  /**
   * The same with changes, from left to right.
   * @example response.with(set('randomBytes.size', 64), tag(0x8002))
   */
  with(...alterations: readonly Alteration[]): Response {
    const change = (bytes: Buffer, { alter }: Alteration): Buffer =>
      alter(bytes, { command: this.#asked.command, kind: 'response' })
    return this.withBytes(alterations.reduce(change, this.bytes))
  }
}
