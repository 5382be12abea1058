/**
 * Handles in words: `PCR16`, `owner`, `nv:1c00002`, `hmac:000001`, `policy:000000`, `obj:000001`, `persistent:810001`.
 * @see TPM 2.0 Part 2, 7
 */
import { TPM_HANDLES } from './codes.ts'

const PERMANENT = new Map<number, string>(
  Object.entries(TPM_HANDLES).map(([name, value]) => [value, name.toLowerCase()]),
)
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

/** @returns undefined: no kind of handle begins so */
export function handleText(handle: number): string | undefined {
  if (handle < 32) return `PCR${handle}`
  const permanent = PERMANENT.get(handle)
  if (permanent !== undefined) return permanent
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
