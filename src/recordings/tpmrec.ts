/**
 * A recording: JSON lines that can be edited by hand and committed. First a header, then a line for each exchange:
 *
 *     {"tpmrec":1,"version":"2","source":"/dev/tpm0 …","kernel":"6.12.117"}
 *     {"t":1.234567,"l":0,"c":"8001…","r":"8001…","d":0.0123}
 *
 *     {"auth":"70617373","handle":"0x81000001"}
 *
 * `t` is when the command came, in seconds from the start; `d` how long it took; `l` the locality; `c` and `r` the bytes. There is no
 * `r` where there was no response. `f` names the faults that have struck it. A line with `auth` is added by hand: the authorization value of a handle, or without `handle` of
 * all that no other line names, in hex digits. It is for replaying commands that are authorized by HMAC.
 */
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { handleNamed } from '../tpm-structures/handles.ts'
import { MAX_MESSAGE_BYTES } from '../tpm-structures/message.ts'

export const RECORDING_FORMAT = 1

export interface RecordingHeader {
  readonly tpmrec: number
  /** Of the TPM. */
  readonly version?: string
  /** What was recorded. */
  readonly source?: string
  readonly kernel?: string
}

export const isRecordingHeader = (value: unknown): value is RecordingHeader =>
  typeof value === 'object' && value !== null && 'tpmrec' in value && typeof value.tpmrec === 'number'

/** An authorization value that the recording knows. */
export interface RecordingAuth {
  /** undefined: of every handle that has no line of its own. */
  readonly handle: number | undefined
  readonly value: Buffer
}

/** @returns undefined: the line is no such line; a text: what is wrong with it */
export function readAuthLine(value: unknown): RecordingAuth | string | undefined {
  if (typeof value !== 'object' || value === null || !('auth' in value)) return undefined
  const { auth, handle } = value as Record<string, unknown>
  const bytes = messageFrom(auth)
  if (bytes === undefined) return '"auth" must be the value in hex digits'
  if (handle === undefined) return { handle: undefined, value: bytes }
  const number = typeof handle === 'string' ? (handleNamed(handle) ?? Number(handle)) : Number.NaN
  if (!Number.isInteger(number)) return '"handle" must be a text such as "0x81000001" or "owner"'
  return { handle: number >>> 0, value: bytes }
}

/** The first line of a recording, with its end. */
export const recordingHeader = (header: Omit<RecordingHeader, 'tpmrec'>): string =>
  `${JSON.stringify({ tpmrec: RECORDING_FORMAT, ...header })}\n`

/** @returns the exchange, or what is wrong with the line */
export function readRecordingLine(value: unknown): TracedExchange | string {
  if (typeof value !== 'object' || value === null) return 'no exchange'
  const { t, d, l, c, r, f } = value as Record<string, unknown>
  const command = messageFrom(c)
  if (command === undefined) return '"c" must be the command in hex digits'
  const response = r === undefined ? undefined : messageFrom(r)
  if (r !== undefined && response === undefined) return '"r" must be the response in hex digits'
  const faults = namesFrom(f)
  const times = { at: numberFrom(t), duration: numberFrom(d) }
  return { ...times, locality: numberFrom(l), command, response, ...(faults && { faults }) }
}

/** A line for a file, with its end. */
export function recordingLine({ at, locality, command, response, duration, faults }: TracedExchange): string {
  const rounded = (seconds: number | undefined) =>
    seconds === undefined ? undefined : Number(seconds.toFixed(6))
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')
  const line = { t: rounded(at), l: locality ?? 0, c: hex(command), r: hex(response), d: rounded(duration) }
  return `${JSON.stringify({ ...line, f: faults })}\n`
}

const numberFrom = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined

const namesFrom = (value: unknown): string[] | undefined =>
  Array.isArray(value) && value.every((name) => typeof name === 'string') ? value : undefined

function messageFrom(value: unknown): Buffer | undefined {
  if (typeof value !== 'string' || !/^(?:[0-9a-f]{2})*$/i.test(value)) return undefined
  const bytes = Buffer.from(value, 'hex')
  return bytes.length > MAX_MESSAGE_BYTES ? undefined : bytes
}
