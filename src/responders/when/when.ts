/**
 * Which exchanges a responder sees, in the language of `--fault`:
 *
 *     when    = command { "|" command } [ "[" filter { "," filter } "]" ] [ which ]
 *     command = NAME | HEX | "*"
 *     which   = "#" N [ "-" [ N ] ] | "/" N | "%" PERCENT
 *
 * Which of the matching commands are meant is counted from the moment the responder is there.
 */
import { commandsByName, nearestNames } from '../../tpm-structures/commands.ts'
import type { Exchange } from '../exchange.ts'
import type { Random } from '../random.ts'
import { Scanner, type Word } from '../rules/scanner.ts'
import { type Filter, readFilter } from './filter.ts'
import { isMeant, readWhich, type Which } from './which.ts'

/** As text, or a function. */
export type When = string | ((exchange: Exchange) => boolean)

interface ParsedWhen {
  readonly matches: (exchange: Exchange, sinceMs: number) => boolean
  readonly which: Which
}

/** A {@link When} at work: it counts what matches. */
export class Matcher {
  readonly #when: ParsedWhen
  readonly #random: Random
  readonly #sinceMs: () => number
  #count = 0

  /**
   * @param random for `%`; one of its own, so that other rules do not change which commands are meant
   * @param sinceMs how long the rule has been there
   * @throws RuleError
   */
  constructor(when: When | ParsedWhen, random: Random, sinceMs: () => number) {
    this.#when =
      typeof when === 'string' ? parseWhen(when) : typeof when === 'function' ? byFunction(when) : when
    this.#random = random
    this.#sinceMs = sinceMs
  }

  /** Asked once for each exchange. */
  isMeant(exchange: Exchange): boolean {
    if (!this.#when.matches(exchange, this.#sinceMs())) return false
    this.#count++
    return isMeant(this.#when.which, this.#count, this.#random)
  }
}

const byFunction = (matches: (exchange: Exchange) => boolean): ParsedWhen => ({
  matches,
  which: { kind: 'all' },
})

/** @throws RuleError */
export function parseWhen(text: string): ParsedWhen {
  const scanner = new Scanner(text)
  const parsed = readWhen(scanner)
  scanner.skipBlanks()
  if (!scanner.atEnd) scanner.failHere('nothing may follow here')
  return parsed
}

/** Reads up to the colon that follows. @throws RuleError */
export function readWhen(scanner: Scanner): ParsedWhen {
  const words: Word[] = []
  do words.push(scanner.until('|[#/%:'))
  while (scanner.take('|') !== undefined)
  const commands = words.map((word) => readCommand(scanner, word))
  const any = commands.includes(undefined)
  const names = any ? undefined : commands.map((command) => command as Command)
  const filters =
    scanner.take('[') === undefined
      ? []
      : readFilters(
          scanner,
          names?.map(({ name }) => name),
        )
  const which = readWhich(scanner)
  return {
    which,
    matches: (exchange, sinceMs) =>
      (names === undefined || names.some((command) => command.is(exchange))) &&
      filters.every((filter) => filter(exchange, sinceMs)),
  }
}

interface Command {
  readonly name: string
  is(exchange: Exchange): boolean
}

/** @returns undefined for any */
function readCommand(scanner: Scanner, word: Word): Command | undefined {
  if (word.text === '*') return undefined
  if (word.text === '') scanner.fail(word, 'the name of a command is missing; write GetRandom, 0x17b or *')
  if (/^0x[0-9a-f]{1,8}$/i.test(word.text)) {
    const code = Number(word.text)
    return { name: word.text, is: (exchange) => exchange.code === code }
  }
  const rows = commandsByName(word.text)
  const [first] = rows
  if (first === undefined) {
    const near = nearestNames(word.text)
    scanner.fail(
      word,
      `no command "${word.text}"${near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`}`,
    )
  }
  return {
    name: first.name,
    is: ({ version, code }) => rows.some((row) => row.version === version && row.code === code),
  }
}

function readFilters(scanner: Scanner, names: readonly string[] | undefined): Filter[] {
  const filters: Filter[] = []
  do filters.push(readFilter(scanner, names))
  while (scanner.take(',') !== undefined)
  if (scanner.take(']') === undefined) scanner.failHere('"]" is missing')
  return filters
}
