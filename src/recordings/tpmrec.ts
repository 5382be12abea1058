/**
 * A recording: JSON lines that can be edited by hand and committed. First a header, then a line for each exchange:
 *
 *     {"tpmrec":1,"version":"2","source":"/dev/tpm0 …","kernel":"6.12.117"}
 *     {"t":1.234567,"l":0,"c":"8001…","r":"8001…","d":0.0123}
 *
 * `t` is when the command came, in seconds from the start; `d` how long it took; `l` the locality; `c` and `r` the bytes. There is no
 * `r` where there was no response.
 */
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
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

/** @returns the exchange, or what is wrong with the line */
export function readRecordingLine(value: unknown): TracedExchange | string {
  if (typeof value !== 'object' || value === null) return 'no exchange'
  const { t, d, l, c, r } = value as Record<string, unknown>
  const command = messageFrom(c)
  if (command === undefined) return '"c" must be the command in hex digits'
  const response = r === undefined ? undefined : messageFrom(r)
  if (r !== undefined && response === undefined) return '"r" must be the response in hex digits'
  return { at: numberFrom(t), duration: numberFrom(d), locality: numberFrom(l), command, response }
}

/** A line for a file, with its end. */
export function recordingLine({ at, locality, command, response, duration }: TracedExchange): string {
  const rounded = (seconds: number | undefined) =>
    seconds === undefined ? undefined : Number(seconds.toFixed(6))
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')
  const line = { t: rounded(at), l: locality ?? 0, c: hex(command), r: hex(response), d: rounded(duration) }
  return `${JSON.stringify(line)}\n`
}

const numberFrom = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined

function messageFrom(value: unknown): Buffer | undefined {
  if (typeof value !== 'string' || !/^(?:[0-9a-f]{2})*$/i.test(value)) return undefined
  const bytes = Buffer.from(value, 'hex')
  return bytes.length > MAX_MESSAGE_BYTES ? undefined : bytes
}
