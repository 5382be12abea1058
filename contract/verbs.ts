/**
 * THE table of PTM verbs: one row each, for the ioctls of a CUSE TPM and for the control channel alike.
 *
 * From a row come the ioctl number (direction, 'P', nr, size of the larger structure), the control code (nr + 1), what a
 * request must look like, whether the TPM must run, and the capability bits. What the two wires do differently is a
 * column with a comment, never a surprise in code.
 * @see swtpm_ioctls(3)
 */
import { lazily } from './lazily.ts'
import type { Struct, ValueOf } from './struct.ts'
import {
  nothing,
  ptmCap,
  ptmCapN,
  ptmEst,
  ptmGetconfigResp,
  ptmGetinfoReq,
  ptmGetinfoResp,
  ptmGetstateFailure,
  ptmGetstateReq,
  ptmGetstateResp,
  ptmHdataReq,
  ptmInitReq,
  ptmLockstorageReq,
  ptmLocReq,
  ptmRes,
  ptmSetbuffersizeReq,
  ptmSetbuffersizeResp,
  ptmSetstateReq,
} from './verb-structures.ts'

// biome-ignore lint/suspicious/noExplicitAny: any structure, whatever its fields
type AnyStruct = Struct<any>

export interface Verb<Req extends AnyStruct = AnyStruct, Resp extends AnyStruct = AnyStruct> {
  /** Number of the ioctl; the control code is one more. */
  readonly nr: number
  readonly req: Req
  readonly resp: Resp
  /** The run state that the verb needs; TPM_BAD_ORDINAL in any other. */
  readonly when: 'any' | 'running' | 'stopped'
  /**
   * Executed at once: the verb neither waits for the running TPM command nor for other verbs, so that a CANCEL never
   * queues behind what it is to cancel.
   */
  readonly urgent?: true
  /** The supervisor executes it without the engine. */
  readonly supervisorOnly?: true
  /** For the table in docs/design/0001-engine-wire.md. */
  readonly note?: string
  /** Bit that announces the verb in GET_CAPABILITY. */
  readonly cap: number
  /** The wires that have it; both where absent. */
  readonly only?: 'control' | 'ioctl'
  /**
   * What the control channel accepts as body. `exact`: the request structure and nothing else. `atLeast`: more is
   * ignored, because QEMU sends the whole union (4 bytes) for the 1-byte request of SET_LOCALITY.
   */
  readonly body: 'exact' | 'atLeast'
  /** The control channel answers GET_CAPABILITY with a result and 32 bits, the ioctl with 64 bits and no result. */
  readonly controlResp?: AnyStruct
  /**
   * What the control channel answers when an execution failed; the 4-byte result alone where absent. QEMU and swtpm_ioctl
   * always read GET_STATEBLOB's response up to its data. Where the run state forbids the verb there are 4 bytes anyhow.
   */
  readonly controlFailure?: AnyStruct
}

const verb = <Req extends AnyStruct, Resp extends AnyStruct>(row: Verb<Req, Resp>): Verb<Req, Resp> => row

export const VERBS = {
  GET_CAPABILITY: verb({
    nr: 0,
    req: nothing,
    resp: ptmCap,
    controlResp: ptmCapN,
    when: 'any',
    cap: 0,
    body: 'atLeast',
    urgent: true,
    supervisorOnly: true,
  }),
  INIT: verb({
    nr: 1,
    req: ptmInitReq,
    resp: ptmRes,
    when: 'any',
    cap: 1 << 0,
    body: 'exact',
    note: 'TPM2_Shutdown if running and due, TPMLIB_Terminate, TPMLIB_MainInit; flag 1 deletes the volatile state file after it was read',
  }),
  SHUTDOWN: verb({
    nr: 2,
    req: nothing,
    resp: ptmRes,
    when: 'any',
    cap: 1 << 1,
    body: 'exact',
    note: 'as STOP, and cancels a running command first. The process stays until fd 3 closes',
  }),
  GET_TPMESTABLISHED: verb({
    nr: 3,
    req: nothing,
    resp: ptmEst,
    when: 'running',
    cap: 1 << 2,
    body: 'exact',
  }),
  SET_LOCALITY: verb({
    nr: 4,
    req: ptmLocReq,
    resp: ptmRes,
    when: 'any',
    cap: 1 << 3,
    body: 'atLeast',
    urgent: true,
    note: '0 to 4 (0x3d otherwise); 4 is refused with `--reject-locality-4`',
  }),
  HASH_START: verb({ nr: 5, req: nothing, resp: ptmRes, when: 'running', cap: 1 << 4, body: 'exact' }),
  HASH_DATA: verb({ nr: 6, req: ptmHdataReq, resp: ptmRes, when: 'running', cap: 1 << 4, body: 'atLeast' }),
  HASH_END: verb({ nr: 7, req: nothing, resp: ptmRes, when: 'running', cap: 1 << 4, body: 'exact' }),
  CANCEL_TPM_CMD: verb({
    nr: 8,
    req: nothing,
    resp: ptmRes,
    when: 'running',
    cap: 1 << 5,
    body: 'exact',
    urgent: true,
  }),
  STORE_VOLATILE: verb({ nr: 9, req: nothing, resp: ptmRes, when: 'running', cap: 1 << 6, body: 'exact' }),
  RESET_TPMESTABLISHED: verb({
    nr: 10,
    req: ptmLocReq,
    resp: ptmRes,
    when: 'running',
    cap: 1 << 7,
    body: 'atLeast',
  }),
  GET_STATEBLOB: verb({
    nr: 11,
    req: ptmGetstateReq,
    resp: ptmGetstateResp,
    when: 'running',
    cap: 1 << 8,
    body: 'atLeast',
    controlFailure: ptmGetstateFailure,
    note: 'the whole rest of the blob in one reply; totLength is the whole blob',
  }),
  SET_STATEBLOB: verb({
    nr: 12,
    req: ptmSetstateReq,
    resp: ptmRes,
    when: 'stopped',
    cap: 1 << 9,
    body: 'atLeast',
    note: 'the whole blob in one request',
  }),
  STOP: verb({
    nr: 13,
    req: nothing,
    resp: ptmRes,
    when: 'any',
    cap: 1 << 10,
    body: 'exact',
    note: 'TPM2_Shutdown if due, TPMLIB_Terminate',
  }),
  GET_CONFIG: verb({
    nr: 14,
    req: nothing,
    resp: ptmGetconfigResp,
    when: 'any',
    cap: 1 << 11,
    body: 'exact',
    urgent: true,
  }),
  SET_DATAFD: verb({
    nr: 15,
    req: nothing,
    resp: ptmRes,
    when: 'any',
    cap: 1 << 12,
    body: 'atLeast',
    only: 'control',
    supervisorOnly: true,
  }),
  SET_BUFFERSIZE: verb({
    nr: 16,
    req: ptmSetbuffersizeReq,
    resp: ptmSetbuffersizeResp,
    when: 'any',
    cap: 1 << 13,
    body: 'atLeast',
    note: 'a request with 0 only asks, and is urgent',
  }),
  GET_INFO: verb({
    nr: 17,
    req: ptmGetinfoReq,
    resp: ptmGetinfoResp,
    when: 'any',
    cap: 1 << 14,
    body: 'atLeast',
    note: 'text with its NUL, not cut to 3072 bytes',
  }),
  LOCK_STORAGE: verb({
    nr: 18,
    req: ptmLockstorageReq,
    resp: ptmRes,
    when: 'any',
    cap: 1 << 16,
    body: 'atLeast',
    urgent: true,
    supervisorOnly: true,
  }),
} as const

export type VerbName = keyof typeof VERBS
export type Request<V extends VerbName> = ValueOf<(typeof VERBS)[V]['req']>
export type Response<V extends VerbName> = ValueOf<(typeof VERBS)[V]['resp']>
/** A success carries every field of the response; a failure its result alone. */
export type Outcome<V extends VerbName> = Response<V> | { readonly tpmResult: number }

/** Not a verb: the data channel takes TPM 2.0 commands with the TCG's prefix (u32 8, u8 locality, u32 length). */
export const PTM_CAP_SEND_COMMAND_HEADER = 1 << 15

export const verbNames = Object.keys(VERBS) as VerbName[]

/** The control channel's code of a verb. */
export const controlCode = (name: VerbName): number => VERBS[name].nr + 1

const IOC_WRITE = 1
const IOC_READ = 2

/**
 * The ioctl(2) request number of a verb: direction (2 bits), size of the union (14), 'P' (8), nr (8).
 * A verb with a request is _IOWR, one without _IOR. SET_DATAFD has a number although it exists only on the control channel.
 */
export function ioctlNumber(name: VerbName): number {
  const { nr, req }: Verb = VERBS[name]
  const direction = req.size > 0 ? IOC_READ | IOC_WRITE : IOC_READ
  return ((direction << 30) | (ioctlSize(name) << 16) | (0x50 << 8) | nr) >>> 0
}

/** Bytes of the union that the ioctl passes in and out. */
export function ioctlSize(name: VerbName): number {
  const { req, resp }: Verb = VERBS[name]
  const align = Math.max(req.align, resp.align)
  return Math.ceil(Math.max(req.size, resp.size) / align) * align
}

export const verbByControlCode: ReadonlyMap<number, VerbName> = new Map(
  verbNames.map((name) => [controlCode(name), name]),
)

const verbsByIoctl = lazily(
  () =>
    new Map(
      verbNames
        .filter((name) => (VERBS[name] as Verb).only !== 'control')
        .map((name) => [ioctlNumber(name), name]),
    ),
)

/** The verb of an ioctl(2) request number. */
export const verbByIoctl = (number: number): VerbName | undefined => verbsByIoctl().get(number)

/** The capability mask of a wire, from the rows that it has. */
export function capabilities(wire: 'control' | 'ioctl', sendCommandHeader: boolean): number {
  let caps = 0
  for (const name of verbNames) {
    const { cap, only }: Verb = VERBS[name]
    if (only === undefined || only === wire) caps |= cap
  }
  return sendCommandHeader && wire === 'control' ? caps | PTM_CAP_SEND_COMMAND_HEADER : caps
}
