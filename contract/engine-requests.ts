/**
 * What the supervisor asks of an engine besides the PTM verbs of ./verbs.ts, and of the spawner: one row each.
 *
 * A request is a frame of kind REQUEST: u32 code, then the structure `req`, big-endian. The reply is the structure
 * `resp`; a failure is its u32 result alone. To add a request, add a row here, run `npm run contract`, and write
 * `Requests::handle<wire::Code::kName>` in native/engine/requests.cc.
 * @see docs/design/0001-engine-wire.md
 */
import { MAX_KEY_BYTES, MAX_PROFILE_BYTES, MAX_REQUEST_BODY_BYTES } from './limits.ts'
import { type Struct, struct, trailing, u8, u16, u32 } from './struct.ts'
import type { Verb } from './verbs.ts'

/** A structure with one u32: a result, a type, a flag. */
export const word = struct({ value: u32 })
const nothing = struct({})

export const attachReq = struct({ kind: u32, flags: u32 })
/** The header of {@link processReq} is 8 bytes. */
const MAX_PROCESS_BYTES = MAX_REQUEST_BODY_BYTES - 8 - 4
export const processReq = struct({
  locality: u8,
  isUntold: u8,
  pad: u16,
  length: u32,
  command: trailing(MAX_PROCESS_BYTES),
})
export const processResp = struct({ tpmResult: u32, length: u32, response: trailing(MAX_PROCESS_BYTES) })
/** `errno` with verdict errno. */
export const respondReq = struct({
  number: u32,
  verdict: u32,
  errno: u32,
  length: u32,
  bytes: trailing(MAX_PROCESS_BYTES),
})
export const setKeyReq = struct({ purpose: u32, length: u32, key: trailing(MAX_KEY_BYTES) })
export const setProfileReq = struct({ length: u32, json: trailing(MAX_PROFILE_BYTES) })
export const checkCryptoResp = struct({ tpmResult: u32, refused: u32 })
export const peekStateResp = struct({ tpmResult: u32, size: u32 })
export const resumeResp = struct({ tpmResult: u32, running: u32 })
/** `words`: the engine's arguments, each followed by a NUL. */
export const spawnReq = struct({ flags: u32, words: trailing(MAX_REQUEST_BODY_BYTES - 8) })
export const spawnResp = struct({ errno: u32, pid: u32 })
export const killReq = struct({ pid: u32 })

// biome-ignore lint/suspicious/noExplicitAny: any structure, whatever its fields
type AnyStruct = Struct<any>

export interface EngineRequest extends Pick<Verb, 'when' | 'urgent' | 'note'> {
  readonly code: number
  readonly req: AnyStruct
  readonly resp: AnyStruct
  /** Descriptors that travel with the request or the reply, for the documentation. */
  readonly fds?: string
}

export const ENGINE_REQUESTS = {
  ATTACH: {
    code: 0x1001,
    when: 'any',
    req: attachReq,
    resp: word,
    fds: 'one, or two: a listener and the client accepted from it',
    note: 'start serving the descriptor, see below. One at a time, and one of kind MANAGED_CUSE beside it: 0x1f TPM_IOERROR if one is attached',
  },
  PROCESS: {
    code: 0x1003,
    when: 'any',
    req: processReq,
    resp: processResp,
    note: 'one TPM command; locality 0xff is the current one. `isUntold` 1: without events TRACE',
  },
  SET_ROUTE: {
    code: 0x1004,
    when: 'any',
    urgent: true,
    req: word,
    resp: word,
    note: '0 native, 1 supervisor: READ and WRITE on a CUSE device come as FUSE_REQUEST events',
  },
  SET_KEY: {
    code: 0x1005,
    when: 'stopped',
    req: setKeyReq,
    resp: word,
    note: 'purpose 0 file, 1 migration; 16 or 32 bytes, before INIT. The engine wipes the message',
  },
  SET_STORAGE: {
    code: 0x1006,
    when: 'any',
    req: word,
    resp: word,
    note:
      '1 locked, 0 unlocked. Before unlocking, the journal is ended. While unlocked the engine stores nothing: it holds ' +
      'back what the TPM wants stored, and stores it on locking again in the same power cycle; a data command raises ' +
      'STORAGE_NEEDED and waits for this request, where 0 means that it fails',
  },
  PEEK_STATE: {
    code: 0x1007,
    when: 'any',
    req: word,
    resp: peekStateResp,
    note: 'the size of a state blob (PTM_BLOB_TYPE_*), without loading it (`--print-states`); 0x800 if there is none',
  },
  SET_PROFILE: {
    code: 0x1008,
    when: 'stopped',
    req: setProfileReq,
    resp: word,
    note: 'before the INIT that makes a new TPM 2.0; 9 TPM_FAIL where libtpms has no profiles',
  },
  RESUME: {
    code: 0x1009,
    when: 'any',
    req: nothing,
    resp: resumeResp,
    note:
      'continue the TPM of the checkpoint, instead of SET_KEY and INIT; 9 TPM_FAIL where that cannot be done. ' +
      'In an engine that has handed over: continue after all',
  },
  HAND_OVER: {
    code: 0x100a,
    when: 'any',
    req: nothing,
    resp: word,
    fds: 'the accepted client comes with the reply, if there is one',
    note:
      'end the running command, save everything in the shared state, detach; nothing is run or stored here any more. ' +
      '0xa while the storage is not locked: nothing has changed',
  },
  CHECK_CRYPTO: {
    code: 0x100b,
    when: 'stopped',
    req: nothing,
    resp: checkCryptoResp,
    note: 'tries what OpenSSL may refuse on this host, and says what it does (`REFUSED_CRYPTO`); takes some 100 ms',
  },
  INTERCEPT: {
    code: 0x100c,
    when: 'any',
    urgent: true,
    req: word,
    resp: word,
    note: '1: every data command comes as event COMMAND and waits for RESPOND. 0: no more; those that wait pass',
  },
  RESPOND: {
    code: 0x100d,
    when: 'any',
    urgent: true,
    req: respondReq,
    resp: word,
    note: 'what becomes of a command (`VERDICT`); 3 TPM_BAD_PARAMETER where it does not wait any more',
  },
  CUT_POWER: {
    code: 0x100f,
    when: 'any',
    req: nothing,
    resp: word,
    note: 'power off without TPM2_Shutdown, as when the supply fails; INIT powers it on again',
  },
  DETACH: {
    code: 0x100e,
    when: 'any',
    req: nothing,
    resp: word,
    note: 'stop serving what is attached, as soon as the command that is executed has ended, and close it; a client of a listener is sent away. Nothing attached is no error',
  },
} as const satisfies Record<string, EngineRequest>

export type EngineRequestName = keyof typeof ENGINE_REQUESTS

/** The code of a private request, by its name. */
export const engineCode = (name: EngineRequestName): number => ENGINE_REQUESTS[name].code

/** What the spawner executes. */
export const SPAWNER_REQUESTS = {
  SPAWN: {
    code: 0x2001,
    when: 'any',
    req: spawnReq,
    resp: spawnResp,
    fds: 'the ones that become 3, 4 and 5',
    note: 'flags 1: execute the program anew instead of forking; words: the arguments, each followed by a NUL, which have to be options of an engine; errno 1 EPERM: with a weaker system call filter than the spawner was started for',
  },
  KILL: {
    code: 0x2002,
    when: 'any',
    req: killReq,
    resp: word,
    note: 'SIGKILL to an engine that the spawner has started and that has not ended; the reply is an errno, 3 ESRCH for any other process',
  },
} as const satisfies Record<string, EngineRequest>
