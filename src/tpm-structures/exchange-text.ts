/**
 * A command and its response as one line for people, or as a line of JSON for programs.
 *
 *     0.976    0.5 ms  GetCapability capability PCRS property 0x0 propertyCount 1   → SUCCESS moreData no capabilityData {…}
 *
 * Names are those of Part 3, which filters (`[capability=PCRS]`) and paths (`set=data.count:64`) use, too. Secrets are shown by
 * their length, unless they are asked for.
 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { constants } from './constants.ts'
import { type DecodedCommand, decodeCommand } from './decode-command.ts'
import { type DecodedResponse, decodeResponse } from './decode-response.ts'
import { handleWord } from './handles.ts'
import type { DecodedSession, NamedHandle } from './message.ts'
import { jsonFields } from './values.ts'
import { fieldsInWords, type WordOptions } from './words.ts'

/** What is known of a command that has passed. */
export interface TracedExchange {
  /** In seconds, from the start of the trace; undefined: not known. */
  readonly at: number | undefined
  /** From command to response, in seconds. */
  readonly duration: number | undefined
  readonly locality: number | undefined
  readonly command: Uint8Array
  /** undefined: there was none. */
  readonly response: Uint8Array | undefined
  /** What has struck it, in words: `fault 2 "Load#1: rc=RETRY"`. */
  readonly faults?: readonly string[] | undefined
}

/** The command's half of a line is as wide as this, if it can be. */
const COMMAND_COLUMNS = 70

/** One line, without its end. */
export function exchangeLine(exchange: TracedExchange, options: WordOptions): string {
  const command = decodeCommand(exchange.command)
  const response = exchange.response && decodeResponse(exchange.response, command)
  const times = [
    exchange.at === undefined ? '' : exchange.at.toFixed(3).padStart(9),
    exchange.duration === undefined ? '' : durationText(exchange.duration).padStart(8),
  ].filter((text) => text !== '')
  const locality = exchange.locality ? `locality ${exchange.locality} ` : ''
  const asked = `${locality}${commandInWords(command, options)}`
  const answered = response === undefined ? 'no response' : responseInWords(response, options)
  const columns = times.length === 0 ? '' : `${times.join(' ')}  `
  const faults = (exchange.faults ?? []).map((fault) => `  ${printable(fault)}`).join('')
  return `${columns}${asked.padEnd(COMMAND_COLUMNS)} → ${answered}${faults}`
}

/** A file may have anything in it. */
const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, '?')

/** Name, handles, sessions, parameters; and what does not fit. */
export function commandInWords(command: DecodedCommand, options: WordOptions): string {
  const words = [
    command.name,
    handlesInWords(command.handles, command.version),
    command.sessions.map((session) => sessionInWords(session, command.version)).join(' '),
    fieldsInWords(command.bytes, command.parameterFields, options),
    problemInWords(command.problem),
  ]
  return words.filter((word) => word !== '').join(' ')
}

/** Code, handles, parameters; and what does not fit. */
export function responseInWords(response: DecodedResponse, options: WordOptions): string {
  const code = response.code === 0 ? '' : ` (0x${response.code.toString(16)})`
  const words = [
    response.hasHeader ? `${response.text}${response.text.startsWith('0x') ? '' : code}` : response.text,
    handlesInWords(response.handles, response.version),
    fieldsInWords(response.bytes, response.parameterFields, options),
    problemInWords(response.problem),
  ]
  return words.filter((word) => word !== '').join(' ')
}

const problemInWords = (problem: string | undefined): string => (problem === undefined ? '' : `(${problem})`)

const handlesInWords = (handles: readonly NamedHandle[], version: TpmVersion): string =>
  handles.map(({ name, value }) => `${name} ${handleWord(value, version)}`).join(' ')

const attributesOf = ({ attributes }: DecodedSession): string[] =>
  attributes === 0 ? [] : (constants('SESSION').text(attributes) ?? '').split('|')

function sessionInWords(session: DecodedSession, version: TpmVersion): string {
  const who = session.kind === 'pw' ? 'pw' : handleWord(session.handle, version)
  // A password session has no end that it could be continued to.
  const attributes = attributesOf(session).filter((word) => session.kind !== 'pw' || word !== 'continue')
  return `auth(${[who, ...attributes].join(' ')})`
}

/** Three digits or so, that a column of them can be compared. */
function durationText(seconds: number): string {
  const ms = seconds * 1000
  if (ms >= 10_000) return `${seconds.toFixed(1)} s`
  return `${ms.toFixed(ms < 1 ? 2 : ms < 100 ? 1 : 0)} ms`
}

/** The same as a value for JSON.stringify(): bytes as hex digits, numbers of 64 bits as decimal digits. */
export function exchangeJson(exchange: TracedExchange, options: WordOptions): Record<string, unknown> {
  const command = decodeCommand(exchange.command)
  const response = exchange.response && decodeResponse(exchange.response, command)
  return {
    t: toMicroseconds(exchange.at),
    d: toMicroseconds(exchange.duration),
    locality: exchange.locality || undefined,
    version: command.version,
    name: command.name,
    code: command.code,
    handles: jsonHandles(command.handles, command.version),
    sessions: command.sessions.map((session) => jsonSession(session, command.version, options)),
    parameters: jsonFields(command.bytes, command.parameterFields, options.secrets),
    problem: command.problem,
    response: response && {
      code: response.code,
      text: response.text,
      handles: jsonHandles(response.handles, response.version),
      parameters: jsonFields(response.bytes, response.parameterFields, options.secrets),
      problem: response.problem,
    },
    faults: exchange.faults,
  }
}

/** No clock here is better. */
const toMicroseconds = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : Number(seconds.toFixed(6))

const jsonHandles = (handles: readonly NamedHandle[], version: TpmVersion): Record<string, string> =>
  Object.fromEntries(handles.map(({ name, value }) => [name, handleWord(value, version)]))

function jsonSession(
  session: DecodedSession,
  version: TpmVersion,
  { secrets }: WordOptions,
): Record<string, unknown> {
  const isPassword = session.kind === 'pw'
  const shown = !isPassword || secrets
  return {
    handle: handleWord(session.handle, version),
    kind: session.kind,
    attributes: attributesOf(session),
    nonce: session.nonce.toString('hex'),
    [isPassword ? 'password' : 'hmac']: shown
      ? session.hmac.toString('hex')
      : `<secret, ${session.hmac.length} bytes>`,
  }
}
