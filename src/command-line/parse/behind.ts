/** `--behind`, and the TPMs of others by the same words. */
import { type BehindConfig, OTHERWISE, type OtherTpmConfig, type Otherwise } from '../../behind/config.ts'
import { didYouMean } from '../../system/did-you-mean.ts'

const KINDS = ['device', 'unix', 'tcp', 'recording'] as const
/** For messages and help. */
export const OTHER_TPM_SYNTAX = 'device:PATH|unix:PATH|tcp:HOST:PORT'

/** @throws RangeError saying what is wrong */
export function parseBehind(text: string): BehindConfig {
  const { kind, rest } = kindOf(text, KINDS)
  if (kind !== 'recording') return otherTpm(kind, rest)
  const [path = '', ...words] = rest.split(',')
  if (path === '') throw new RangeError('the path of the recording is missing: write recording:FILE')
  let otherwise: Otherwise = 'FAILURE'
  let fast = false
  for (const word of words) {
    if (word === 'fast') fast = true
    else if (word.startsWith('else=')) otherwise = otherwiseOf(word.slice('else='.length))
    else throw new RangeError(unknown(word, ['else=FAILURE', 'else=stop', 'else=ours', 'fast']))
  }
  return { kind, path, otherwise, fast }
}

/** @throws RangeError saying what is wrong */
export function parseOtherTpm(text: string): OtherTpmConfig {
  const { kind, rest } = kindOf(text, ['device', 'unix', 'tcp'])
  return otherTpm(kind, rest)
}

function kindOf<K extends string>(text: string, kinds: readonly K[]): { kind: K; rest: string } {
  const colon = text.indexOf(':')
  const word = colon < 0 ? text : text.slice(0, colon)
  const kind = kinds.find((known) => known === word)
  if (kind === undefined || colon < 0)
    throw new RangeError(
      unknown(
        word,
        kinds.map((known) => `${known}:`),
      ),
    )
  return { kind, rest: text.slice(colon + 1) }
}

function otherTpm(kind: OtherTpmConfig['kind'], rest: string): OtherTpmConfig {
  if (kind !== 'tcp') {
    if (rest === '') throw new RangeError(`the path is missing: write ${kind}:PATH`)
    return { kind, path: rest }
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(rest) ?? []
  const port = Number(digits)
  if (digits === undefined || port < 1 || port > 65535)
    throw new RangeError(`"${rest}" is no HOST:PORT, such as 127.0.0.1:2321 or [::1]:2321`)
  return { kind, host: (bracketed ?? plain) as string, port }
}

function otherwiseOf(word: string): Otherwise {
  const found = OTHERWISE.find((known) => known.toLowerCase() === word.toLowerCase())
  if (found === undefined)
    throw new RangeError(
      unknown(
        `else=${word}`,
        OTHERWISE.map((known) => `else=${known}`),
      ),
    )
  return found
}

function unknown(word: string, known: readonly string[]): string {
  const near = didYouMean(word, known)
  return near === undefined
    ? `"${word}" is unknown; known are ${known.join(', ')}`
    : `"${word}" is unknown; did you mean "${near}"?`
}
