/** The lines of a script socket: an exchange that is over, or how many were left out. */
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { readRecordingLine } from './tpmrec.ts'

/** `atMs` and `ms` are when the command came and how long it took; an empty `response` is none. */
interface Watched {
  readonly watch: number
  readonly dropped?: number
  readonly command?: string
  readonly response?: string
  readonly locality?: number
  readonly atMs?: number
  readonly ms?: number
  readonly faults?: readonly string[]
}

export const isWatched = (value: unknown): value is Watched =>
  typeof value === 'object' && value !== null && 'watch' in value && typeof value.watch === 'number'

/** @returns the exchange, or what there is instead */
export function readWatched({
  dropped,
  command,
  response,
  locality,
  atMs,
  ms,
  faults,
}: Watched): TracedExchange | string {
  if (dropped !== undefined) return `${dropped} exchanges are missing: they came faster than they were read`
  const read = readRecordingLine({
    t: atMs === undefined ? undefined : atMs / 1000,
    d: ms === undefined ? undefined : ms / 1000,
    l: locality,
    c: command,
    r: response === '' ? undefined : response,
    f: faults,
  })
  return typeof read === 'string' ? 'no exchange' : read
}
