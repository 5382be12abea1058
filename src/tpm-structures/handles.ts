/**
 * Handles in words: `PCR16`, `owner`, `nv:1c00002`, `hmac:000001`, `policy:000000`, `obj:000001`, `persistent:810001`.
 *
 * A TPM 1.2 gives its keys and sessions any numbers: only those that every TPM has are words there.
 * @see TPM 2.0 Part 2, 7; TPM Main Part 2, 4.4
 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { TPM_HANDLES } from './codes.ts'

const PERMANENT = new Map<number, string>(
  Object.entries(TPM_HANDLES).map(([name, value]) => [value, name.toLowerCase()]),
)
/** Handles of authenticated countdown timers, and of values that the platform's maker authorizes by. */
const NUMBERED = [
  { first: 0x40000010, count: 0x100, name: 'auth' },
  { first: 0x40000110, count: 0x10, name: 'act' },
] as const
for (const { first, count, name } of NUMBERED)
  for (let index = 0; index < count; index++) PERMANENT.set(first + index, `${name}_${index.toString(16)}`)
const BY_NAME = new Map(Array.from(PERMANENT, ([value, name]) => [name, value]))
/** The first byte of a handle, and what such handles are called. */
const KINDS = [
  [0x01, 'nv'],
  [0x02, 'hmac'],
  [0x03, 'policy'],
  [0x11, 'nv-external'],
  [0x12, 'nv-permanent'],
  [0x80, 'obj'],
  [0x81, 'persistent'],
  [0x90, 'ac'],
] as const

/** @returns undefined: there is no word for it */
export function handleText(handle: number, version: TpmVersion): string | undefined {
  const permanent = PERMANENT.get(handle)
  if (permanent !== undefined || version === '1.2') return permanent
  if (handle < 32) return `PCR${handle}`
  const kind = KINDS.find(([first]) => first === handle >>> 24)
  if (kind === undefined) return undefined
  const [first, name] = kind
  // An NV index is known by its whole number.
  return first === 0x01
    ? `${name}:${handle.toString(16)}`
    : `${name}:${(handle & 0xffffff).toString(16).padStart(6, '0')}`
}

/** The handle with that text, in any case; also a name of Part 2: `NULL`, `RH_OWNER`. */
export function handleNamed(text: string): number | undefined {
  const word = text.toLowerCase()
  const permanent = BY_NAME.get(word.replace(/^(tpm_)?r[hs]_/, ''))
  if (permanent !== undefined) return permanent
  const [, pcr] = /^pcr(\d{1,2})$/.exec(word) ?? []
  if (pcr !== undefined && Number(pcr) < 32) return Number(pcr)
  const [, name, digits] = /^([a-z-]+):([0-9a-f]{1,8})$/.exec(word) ?? []
  const kind = KINDS.find(([, known]) => known === name)
  if (kind === undefined || digits === undefined) return undefined
  const number = Number.parseInt(digits, 16)
  return number >= 0x1000000 ? number : (kind[0] * 0x1000000 + number) >>> 0
}

/** The word for a handle, or its eight hex digits. */
export const handleWord = (handle: number, version: TpmVersion): string =>
  handleText(handle, version) ?? `0x${handle.toString(16).padStart(8, '0')}`
