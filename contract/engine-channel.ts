/**
 * The engine channel: the descriptors that an engine inherits, and the frames that pass between supervisor and engine.
 * What the frames say is in ./verbs.ts, ./engine-requests.ts and ./engine-events.ts.
 * @see docs/design/0001-engine-wire.md
 */

import { word } from './engine-requests.ts'
import { MAX_REPLY_BODY_BYTES } from './limits.ts'
import { BIG, packed, u32 } from './struct.ts'

/** The descriptors that an engine inherits; it closes all higher ones. */
export const ENGINE_FDS = { channel: 3, state: 4, sharedState: 5 } as const

export const FRAME_KIND = { request: 1, reply: 2, event: 3 } as const

/** Before the body, whose bytes `length` counts. */
export const frameHeader = packed({ length: u32, kind: u32, id: u32 })

/** SPAWN: execute the program that is there now, instead of a copy of the one that runs. */
export const SPAWN_FLAG = { fresh: 1 } as const

/** What an attached descriptor is, which decides how the engine reads commands from it. */
export const ATTACH_KIND = {
  stream: 1,
  listener: 2,
  chardev: 3,
  cuse: 4,
  /** As `listener`, for many connections at once; only with `--resource-manager`. */
  managedListener: 5,
  /** A CUSE device for many clients at once, beside what is attached otherwise; only with `--resource-manager`. */
  managedCuse: 6,
} as const
export type AttachKind = keyof typeof ATTACH_KIND

export const ATTACH_FLAG = {
  /** Close the client's connection after each response. */
  disconnect: 1,
  /** Another engine served it: this one continues with its device state. */
  continue: 2,
  /** Say CLIENT_OPENED and CLIENT_CLOSED of a listener's clients. Otherwise they come and go, and the supervisor sleeps. */
  reportClients: 4,
} as const

/** Where READ and WRITE on a CUSE device go. */
export const ROUTE = { native: 0, supervisor: 1 } as const
export type Route = keyof typeof ROUTE

/** What a key is for; the number of its slot. */
export const KEY_SLOT = { file: 0, migration: 1 } as const
export type KeySlot = keyof typeof KEY_SLOT

/** What the OpenSSL of a host may refuse, above all in FIPS mode: bits of CHECK_CRYPTO. */
export const REFUSED_CRYPTO = {
  camellia: 1,
  tdes: 2,
  /** RSA encryption with the padding of PKCS#1. */
  rsaes: 4,
  /** Keys as weak as RSA with 1024 bits. */
  smallKeys: 8,
  sha1Signing: 16,
  sha1Verification: 32,
  unpaddedEncryption: 64,
  sha1Hmac: 128,
} as const

/** What becomes of a data command that the supervisor was shown: RESPOND. */
export const VERDICT = {
  /** The TPM executes it, and its response goes to the client. */
  pass: 0,
  /** The TPM executes it, or the bytes of this request in its place; the response comes as event RESPONSE, and the next RESPOND is waited for. */
  run: 1,
  /** The bytes of this request are the response, whatever they are. */
  answer: 2,
  /** They are a part of what the client is sent; the next RESPOND is waited for. */
  part: 3,
  /** The client is sent nothing, and may send its next command. */
  silence: 4,
  /** The connection is closed; a client of a CUSE device gets EPIPE. */
  hangUp: 5,
  /** A client of a CUSE device gets this errno from read(); any other connection is closed. */
  errno: 6,
} as const
export type Verdict = keyof typeof VERDICT

/** Why nobody waits for the answer to a command any more: COMMAND_GONE. */
export const COMMAND_GONE = {
  /** Its client, or the device. */
  client: 0,
  /** The TPM is powered off for good, or handed over to another engine. */
  tpm: 1,
} as const

/** PROCESS with the locality that is set. */
export const LOCALITY_CURRENT = 0xff

export interface Frame {
  readonly kind: number
  readonly id: number
  readonly body: Buffer
}

/** One frame as bytes; `code` is put before the body. */
export function encodeFrame(kind: number, id: number, code: number, body: Buffer): Buffer {
  const header = frameHeader.encode({ length: word.size + body.length, kind, id }, BIG)
  return Buffer.concat([header, word.encode({ value: code }, BIG), body])
}

/** Cuts a byte stream into frames; chunks may be split or joined in any way. */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0)

  /** No part of a frame has arrived without the rest. */
  get isEmpty(): boolean {
    return this.#pending.length === 0
  }

  /** @throws RangeError when a header announces more than any frame can hold. */
  push(chunk: Buffer): Frame[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    const frames: Frame[] = []
    while (this.#pending.length >= frameHeader.size) {
      const { length, kind, id } = frameHeader.decode(this.#pending, BIG)
      if (length > MAX_REPLY_BODY_BYTES) throw new RangeError(`a frame of ${length} bytes`)
      const end = frameHeader.size + length
      if (this.#pending.length < end) break
      frames.push({ kind, id, body: this.#pending.subarray(frameHeader.size, end) })
      this.#pending = this.#pending.subarray(end)
    }
    return frames
  }
}
