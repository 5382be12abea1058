/**
 * What is said on a script socket: a line of JSON each, in UTF-8. A request has one of the words below, and may have an `id`, which
 * its answer has, too. The answer is `{"ok":…}` or `{"error":"…"}`, with a `column` where the mistake is in a rule.
 *
 * | request | answer, and what follows |
 * |---|---|
 * | `{"fault":RULE}` | the number of the new fault |
 * | `{"list":true}` | the faults: `{"fault":1,"label":…,"rule":…,"struck":3}` |
 * | `{"remove":N\|LABEL}` | the number of the fault that is no more |
 * | `{"clear":true}` | how many faults are no more |
 * | `{"wait":N\|LABEL,"times":M,"timeout":S}` | the fault, when it has struck M times; those that follow are answered meanwhile |
 * | `{"watch":WHEN}` | the number of the watch; then a line for each exchange that matches, when it is over |
 * | `{"take":WHEN}` | the number of the take; then a line for each command that matches, which waits |
 * | `{"stop":N}` | the number of the watch or take that is no more |
 * | `{"n":N,"response":HEX}` | none: the client of the command is given these bytes |
 * | `{"n":N,"effects":EFFECTS}` | none: these effects strike it |
 * | `{"n":N,"pass":true}` | none: it goes on to the TPM; after `command`, the TPM's response is given |
 * | `{"n":N,"command":HEX}` | the TPM's response to these bytes; the command still waits |
 *
 * @see docs/scripting.md
 */

/** Longest line of a client, the newline not counted: a response of 32 KiB has room in it. */
export const MAX_LINE_BYTES = 64 * 1024

const DEFAULT_WAIT_S = 60
const MAX_WAIT_S = 86_400

export type Verdict =
  | { readonly what: 'response' | 'command'; readonly bytes: Buffer }
  | { readonly what: 'effects'; readonly effects: string }
  | { readonly what: 'pass' }

export type ScriptRequest =
  | { readonly ask: 'fault'; readonly rule: string }
  | { readonly ask: 'list' | 'clear' }
  | { readonly ask: 'remove'; readonly which: number | string }
  | {
      readonly ask: 'wait'
      readonly which: number | string
      readonly times: number
      readonly timeoutMs: number
    }
  | { readonly ask: 'watch' | 'take'; readonly when: string }
  | { readonly ask: 'stop'; readonly number: number }
  | { readonly ask: 'decide'; readonly n: number; readonly verdict: Verdict }

/** Of the lines that a client is sent, those that answer a request. */
export type ScriptAnswer =
  | { readonly ok: unknown; readonly id?: unknown }
  | { readonly error: string; readonly column?: number; readonly timedOut?: true; readonly id?: unknown }

/** A fault, as `list` and `wait` tell of it. */
export interface FaultStatus {
  readonly fault: number
  readonly label?: string
  readonly rule: string
  /** How many commands it has struck. */
  readonly struck: number
}

/** A command, as it is told of. */
export interface CommandStatus {
  /** Of those that there were while commands came to scripts, from 1. */
  readonly n: number
  readonly name: string
  readonly locality: number
  readonly command: string
}

type Fields = Readonly<Record<string, unknown>>

const ASKS = ['fault', 'list', 'remove', 'clear', 'wait', 'watch', 'take', 'stop', 'n'] as const

/** @throws Error saying what is wrong with it */
export function asRequest(fields: Fields): ScriptRequest {
  const asked = ASKS.filter((ask) => fields[ask] !== undefined)
  const [ask, ...more] = asked
  if (ask === undefined || more.length > 0)
    throw new Error(`a request has one of ${ASKS.join(', ')}, and this has ${asked.join(' and ') || 'none'}`)
  switch (ask) {
    case 'fault':
      return { ask, rule: text(fields, ask) }
    case 'watch':
    case 'take':
      return { ask, when: text(fields, ask) }
    case 'list':
    case 'clear':
      return { ask }
    case 'remove':
      return { ask, which: numberOrLabel(fields, ask) }
    case 'wait':
      return {
        ask,
        which: numberOrLabel(fields, ask),
        times: number(fields, 'times', 1, 1, Number.MAX_SAFE_INTEGER),
        timeoutMs: 1000 * number(fields, 'timeout', 0, DEFAULT_WAIT_S, MAX_WAIT_S),
      }
    case 'stop':
      return { ask, number: number(fields, ask) }
    case 'n':
      return { ask: 'decide', n: number(fields, ask), verdict: verdictOf(fields) }
  }
}

const VERDICTS = ['response', 'command', 'effects', 'pass'] as const

function verdictOf(fields: Fields): Verdict {
  const [what, ...more] = VERDICTS.filter((verdict) => fields[verdict] !== undefined)
  if (what === undefined || more.length > 0)
    throw new Error('"n" goes with one of "response", "effects", "pass" and "command"')
  switch (what) {
    case 'pass':
      return { what }
    case 'effects':
      return { what, effects: text(fields, what) }
    default:
      return { what, bytes: bytes(text(fields, what), what) }
  }
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw new Error(`"${name}" is not a string`)
  return value
}

function numberOrLabel(fields: Fields, name: string): number | string {
  const value = fields[name]
  if (typeof value !== 'string' && typeof value !== 'number')
    throw new Error(`"${name}" is neither the number nor the label of a fault`)
  return value
}

function number(
  fields: Fields,
  name: string,
  least = 0,
  usual?: number,
  most = Number.MAX_SAFE_INTEGER,
): number {
  const value = fields[name] ?? usual
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw new Error(
      `"${name}" is not a number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`,
    )
  return value
}

function bytes(hex: string, name: string): Buffer {
  if (!/^([0-9a-f]{2})*$/i.test(hex)) throw new Error(`"${name}" is not pairs of hexadecimal digits`)
  return Buffer.from(hex, 'hex')
}
