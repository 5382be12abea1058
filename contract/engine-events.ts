/**
 * What an engine, or the spawner, says unasked: one row each. An event is a frame of kind EVENT with id 0: u32 type, then
 * the structure `payload`, then bytes where the row says so.
 *
 * To add an event, add a row here, run `npm run contract`, send it with `Channel::event(wire::Event::kName, …)` and handle
 * it in src/engine-client.
 * @see docs/design/0001-engine-wire.md
 */
import { packed, type Struct, struct, u8, u32, u64 } from './struct.ts'

const nothing = struct({})
const level = struct({ level: u32 })
export const readyEvent = struct({ version: u32, build: u32 })
const clientClosed = struct({ errno: u32 })
const managedClosed = struct({ errno: u32 })
/** `direction` 0: a command, 1: a response; `timeUs` in µs since 1970; `locality` of a command, 0 for a response. */
export const traceEvent = packed({ direction: u32, timeUs: u64, locality: u8 })
export const commandEvent = packed({ number: u32, locality: u8 })
export const responseEvent = struct({ number: u32 })
export const commandGoneEvent = struct({ number: u32, why: u32 })
/** `signal` 0: none. */
export const engineEndedEvent = struct({ pid: u32, status: u32, signal: u32 })

export interface EngineEvent {
  readonly type: number
  // biome-ignore lint/suspicious/noExplicitAny: any structure, whatever its fields
  readonly payload: Struct<any>
  /** What follows the structure. */
  readonly bytes?: string
  /** How many there are at least. */
  readonly minBytes?: number
  readonly note: string
}

export const ENGINE_EVENTS = {
  READY: {
    type: 1,
    payload: readyEvent,
    note:
      'the engine serves; the version of libtpms: major << 16 | minor << 8 | micro; and a number that is the same for engines of the same ' +
      'program with the same libtpms, 0 where that cannot be told',
  },
  LOG: {
    type: 2,
    payload: level,
    bytes: 'text',
    note: 'level 1 error, 2 warning, 3 information, 4 debugging. `{errno 28}` in the text stands for the words of that errno',
  },
  CLIENT_OPENED: {
    type: 3,
    payload: nothing,
    note: 'a listener that is attached with flag 4 has accepted a connection',
  },
  CLIENT_CLOSED: {
    type: 4,
    payload: clientClosed,
    note:
      'errno 0: end of file. Kinds STREAM and CHARDEV are detached then. LISTENER, attached with flag 4, accepts the next ' +
      'client. CUSE stays after 0, a RELEASE in route `supervisor`; after any other number the device is gone and detached',
  },
  FUSE_REQUEST: {
    type: 5,
    payload: nothing,
    bytes: 'fuse_in_header and body',
    minBytes: 40,
    note: 'a FUSE request that the supervisor answers, as read, in host byte order',
  },
  STORAGE_NEEDED: {
    type: 6,
    payload: nothing,
    note: 'a data command waits until SET_STORAGE says that the storage is locked',
  },
  TRACE: {
    type: 7,
    payload: traceEvent,
    bytes: 'the bytes',
    note: 'a command (0) or response (1) has passed; µs since 1970, and the locality of a command. Only with `--trace`',
  },
  COMMAND: {
    type: 8,
    payload: commandEvent,
    bytes: 'the command',
    note: 'a data command waits for RESPOND; with the locality that it would have. Only after INTERCEPT 1',
  },
  RESPONSE: {
    type: 9,
    payload: responseEvent,
    bytes: 'the response',
    note: 'what the TPM has answered to a command of verdict `run`, which waits for the next RESPOND',
  },
  MANAGED_CLOSED: {
    type: 11,
    payload: managedClosed,
    note: 'the device of kind MANAGED_CUSE is gone and detached: why, as an errno',
  },
  COMMAND_GONE: {
    type: 10,
    payload: commandGoneEvent,
    note: 'the answer to a command is not waited for any more: 0 its client has gone, 1 its TPM was powered off for good or handed over',
  },
} as const satisfies Record<string, EngineEvent>

export type EngineEventName = keyof typeof ENGINE_EVENTS

/** The type of an event, by its name. */
export const eventType = (name: EngineEventName): number => ENGINE_EVENTS[name].type

export const eventByType: ReadonlyMap<number, EngineEventName> = new Map(
  (Object.keys(ENGINE_EVENTS) as EngineEventName[]).map((name) => [eventType(name), name]),
)

export const SPAWNER_EVENTS = {
  ENGINE_ENDED: {
    type: 0x2001,
    payload: engineEndedEvent,
    note: 'an engine has ended: its exit status, or the signal that killed it',
  },
} as const satisfies Record<string, EngineEvent>
