/**
 * The frames between supervisor and engine: 12-byte header, then a PTM control command, its answer, or an event.
 * @see docs/design/0001-engine-wire.md
 */
import { BIG, packed, struct, trailing, u8, u16, u32, u64 } from './struct.ts'

export const frameHeader = packed({ length: u32, kind: u32, id: u32 })

export const FRAME_REQUEST = 1
export const FRAME_REPLY = 2
export const FRAME_EVENT = 3

/** Private codes beside the CMD_* of the control protocol. */
export const ENGINE_ATTACH = 0x1001
export const ENGINE_DETACH = 0x1002
export const ENGINE_PROCESS = 0x1003
export const ENGINE_SET_ROUTE = 0x1004
export const ENGINE_SET_KEY = 0x1005
export const ENGINE_SET_STORAGE = 0x1006
export const ENGINE_PEEK_STATE = 0x1007
export const ENGINE_SET_PROFILE = 0x1008
export const ENGINE_RESUME = 0x1009
export const ENGINE_HAND_OVER = 0x100a
/** To the spawner, which speaks the same frames. */
export const ENGINE_SPAWN = 0x2001
/** Execute the program as it lies there now, instead of a copy of the one that runs. */
export const SPAWN_FLAG_FRESH = 1

/** What an attached descriptor is, and so how the engine reads commands from it. */
export const ATTACH_KIND = { stream: 1, listener: 2, chardev: 3, cuse: 4 } as const
export type AttachKind = keyof typeof ATTACH_KIND
/** Close the client's connection after each response. */
export const ATTACH_FLAG_DISCONNECT = 1
/** Another engine served it: this one takes up what that one left in the heritage. */
export const ATTACH_FLAG_CONTINUE = 2

export const ROUTE = { native: 0, supervisor: 1 } as const
export type Route = keyof typeof ROUTE

export const KEY_PURPOSE = { file: 0, migration: 1 } as const
export type KeyPurpose = keyof typeof KEY_PURPOSE

/** ENGINE_PROCESS with the locality that is set. */
export const LOCALITY_CURRENT = 0xff

export const EVENT_READY = 1
export const EVENT_LOG = 2
export const EVENT_CLIENT_OPENED = 3
export const EVENT_CLIENT_CLOSED = 4
export const EVENT_FUSE_REQUEST = 5
export const EVENT_STORAGE_NEEDED = 6
export const EVENT_TRACE = 7

/** Larger frames than this are a fault, not data: a state blob is at most 512 KiB. */
const MAX_FRAME_BYTES = 4 << 20

const UNBOUNDED = 0xffffffff
export const attachReq = struct({ kind: u32, flags: u32 })
export const processReq = struct({
  locality: u8,
  pad: u8,
  pad2: u16,
  length: u32,
  command: trailing(UNBOUNDED),
})
export const processResp = struct({ tpmResult: u32, length: u32, response: trailing(UNBOUNDED) })
export const setKeyReq = struct({ purpose: u32, length: u32, key: trailing(UNBOUNDED) })
export const setProfileReq = struct({ length: u32, json: trailing(UNBOUNDED) })
export const peekStateResp = struct({ tpmResult: u32, size: u32 })
/** `direction` 0: a command, 1: a response; `timeUs` in µs since 1970. */
export const traceEvent = packed({ direction: u32, timeUs: u64 })
/** `words`: the program and its arguments, each with a NUL behind it. */
export const spawnReq = struct({ flags: u32, words: trailing(UNBOUNDED) })
export const spawnResp = struct({ errno: u32, pid: u32 })
/** The only event of the spawner, with its number in front. `signal` 0: none. */
export const engineEndedEvent = struct({ type: u32, pid: u32, code: u32, signal: u32 })
export const resumeResp = struct({ tpmResult: u32, running: u32 })
export const word = struct({ value: u32 })

/** Of the memory that engines leave to each other; what is not used takes no room. */
export const HERITAGE_BYTES = 2 << 20
/** Where in it is the number of the last FUSE request that was read: u64, in host order. */
export const HERITAGE_LAST_UNIQUE_OFFSET = 16

export interface Frame {
  readonly kind: number
  readonly id: number
  readonly body: Buffer
}

/** One frame as bytes; `code` is put before the body where it is given. */
export function encodeFrame(kind: number, id: number, code: number, body: Buffer): Buffer {
  const header = frameHeader.encode({ length: 4 + body.length, kind, id }, BIG)
  return Buffer.concat([header, word.encode({ value: code }, BIG), body])
}

/** Cuts a byte stream into frames; chunks may be split or glued in any way. */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0)

  /** @throws RangeError when a header announces more than any frame can hold. */
  push(chunk: Buffer): Frame[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    const frames: Frame[] = []
    while (this.#pending.length >= frameHeader.size) {
      const { length, kind, id } = frameHeader.decode(this.#pending, BIG)
      if (length > MAX_FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes`)
      const end = frameHeader.size + length
      if (this.#pending.length < end) break
      frames.push({ kind, id, body: this.#pending.subarray(frameHeader.size, end) })
      this.#pending = this.#pending.subarray(end)
    }
    return frames
  }
}
