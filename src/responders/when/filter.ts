/** What a command has to have besides its name: `[handle=0x02000000/8,locality=3]`. */

import { didYouMean } from '../../system/did-you-mean.ts'
import { matchesParameter } from '../../tpm-structures/match.ts'
import type { Exchange, Sender } from '../exchange.ts'
import type { Scanner, Word } from '../rules/scanner.ts'
import { parseTime } from '../time.ts'
import { parameterNames } from './parameter-names.ts'

/** @param sinceMs how long the rule has been there */
export type Filter = (exchange: Exchange, sinceMs: number) => boolean

const SESSIONS = ['none', 'pw', 'hmac', 'policy'] as const
const SENDERS: readonly Sender[] = ['driver', 'client']
export const OWN_FILTERS = ['handle', 'locality', 'session', 'size', 'from', 'after', 'during'] as const
/** For completion: the values of filters that have some. */
export const FILTER_VALUES: Readonly<Record<string, readonly string[]>> = { session: SESSIONS, from: SENDERS }
type OwnFilter = (typeof OWN_FILTERS)[number]

/**
 * Reads one filter.
 * @param names of the commands that it is for; undefined: any
 * @throws RuleError
 */
export function readFilter(scanner: Scanner, names: readonly string[] | undefined): Filter {
  const name = readName(scanner)
  const sign = scanner.take('=<>')
  if (sign === undefined)
    scanner.fail(name, `"${name.text}" is followed by no value; write ${name.text || 'NAME'}=VALUE`)
  const value = scanner.until(',]')
  if (scanner.atEnd) scanner.failHere('"]" is missing')
  if (value.text === '') scanner.failHere(`"${name.text}" has no value`)
  if (name.text === 'size') return sizeFilter(scanner, sign, value)
  if (sign !== '=') scanner.fail({ text: sign, at: value.at - 1 }, `only size can be compared by ${sign}`)
  return own(scanner, name.text as OwnFilter, value) ?? parameterFilter(scanner, name, value, names)
}

/** With the brackets of an index: `digests[0].hashAlg`. */
function readName(scanner: Scanner): Word {
  const { text, at } = scanner.until('=<>,]')
  let name = text
  while (name.lastIndexOf('[') > name.lastIndexOf(']') && scanner.take(']') !== undefined)
    name += `]${scanner.until('=<>,]').text}`
  return { text: name, at }
}

function own(scanner: Scanner, name: OwnFilter, value: Word): Filter | undefined {
  switch (name) {
    case 'handle':
      return handleFilter(scanner, value)
    case 'locality': {
      const locality = wholeNumber(scanner, value)
      return (exchange) => exchange.locality === locality
    }
    case 'session': {
      const kind = oneOf(scanner, value, SESSIONS)
      return ({ sessions }) =>
        kind === 'none' ? sessions.length === 0 : sessions.some((session) => session.kind === kind)
    }
    case 'from': {
      const sender = oneOf(scanner, value, SENDERS)
      return (exchange) => exchange.from === sender
    }
    case 'after': {
      const ms = time(scanner, value)
      return (_, sinceMs) => sinceMs >= ms
    }
    case 'during': {
      const ms = time(scanner, value)
      return (_, sinceMs) => sinceMs < ms
    }
    default:
      return undefined
  }
}

function sizeFilter(scanner: Scanner, sign: string, value: Word): Filter {
  const size = wholeNumber(scanner, value)
  if (sign === '<') return ({ bytes }) => bytes.length < size
  if (sign === '>') return ({ bytes }) => bytes.length > size
  return ({ bytes }) => bytes.length === size
}

/** `0x81000001`, or of which the first bits are these: `0x02000000/8`. */
function handleFilter(scanner: Scanner, value: Word): Filter {
  const [, number, , bits] = /^(0x[0-9a-f]{1,8}|\d+)(\/(\d+))?$/i.exec(value.text) ?? []
  const handle = Number(number)
  if (number === undefined || handle > 0xffffffff || Number(bits ?? 32) > 32)
    scanner.fail(value, `"${value.text}" is neither a handle (0x81000001) nor its first bits (0x02000000/8)`)
  const shift = 2n ** BigInt(32 - Number(bits ?? 32))
  const wanted = BigInt(handle) / shift
  return ({ handles, sessions }) =>
    [...handles, ...sessions.map((session) => session.handle)].some(
      (given) => BigInt(given) / shift === wanted,
    )
}

function parameterFilter(
  scanner: Scanner,
  name: Word,
  value: Word,
  commands: readonly string[] | undefined,
): Filter {
  const steps = name.text.toLowerCase().match(/[^.[\]]+/g) ?? []
  const known = commands?.some((command) => steps.every((step) => parameterNames(command).all.has(step)))
  if (known === false) {
    const names = [...OWN_FILTERS, ...(commands ?? []).flatMap((command) => parameterNames(command).first)]
    const near = didYouMean(name.text, names)
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    scanner.fail(
      name,
      `${commands?.join(' or ')} has no "${name.text}"${hint} Filters are ${[...new Set(names)].join(', ')}`,
    )
  }
  return ({ command }) => matchesParameter(command, name.text, value.text)
}

function oneOf<T extends string>(scanner: Scanner, value: Word, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value.text)
  return found ?? scanner.fail(value, `"${value.text}" is not one of ${choices.join(', ')}`)
}

function wholeNumber(scanner: Scanner, value: Word): number {
  if (!/^\d+$/.test(value.text)) scanner.fail(value, `"${value.text}" is no whole number`)
  return Number(value.text)
}

function time(scanner: Scanner, value: Word): number {
  return parseTime(value.text) ?? scanner.fail(value, `"${value.text}" is no time; write 900ms, 2s or 50us`)
}
