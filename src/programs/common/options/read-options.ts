/**
 * Reads the command lines of all programs, with the habits of getopt_long(3) that scripts rely on: a value follows after a
 * blank or `=` and may begin with `-` (`--days -1`), unambiguous abbreviations stand for an option, letters may be put
 * together (`-td`) and have their value attached (`-p1234`), `--` ends the options.
 *
 * Not by yargs: that has no abbreviations, takes `--no-x` as a negation and `--a.b` as a nested key, makes `-5` a number, and is
 * most of a program's start. It lays out the help, made from the same tables.
 * @see getopt_long(3), getopt_long_only(3)
 */
import { choiceHint } from '../../../system/did-you-mean.ts'
import { OptionNames } from './find-option.ts'
import { type GivenOption, GivenOptions } from './given-options.ts'
import { type OptionSpec, type OptionTable, takesValue } from './option-table.ts'
import { UsageError } from './usage-error.ts'

/** In what the programs of the reference differ. */
export interface ReaderStyle {
  /** getopt_long_only(3): `-option` is as good as `--option`, and there are no letters to put together. */
  readonly singleDash?: boolean
  /** A word that belongs to no option is a fault; otherwise it is kept for the program. */
  readonly refuseStrays?: boolean
}

/** @throws UsageError naming the option, what is wrong with it and what is allowed */
export function readOptions<T extends OptionTable>(
  table: T,
  argv: readonly string[],
  style: ReaderStyle = {},
): GivenOptions<T> {
  const reading = new Reading(table, argv, style)
  reading.run((fault) => {
    throw fault
  })
  return new GivenOptions<T>(reading.given, reading.strays)
}

/** What can be read of a command line that has a fault, to find the log that it names: each fault is passed over. */
export function readInSpiteOfFaults<T extends OptionTable>(
  table: T,
  argv: readonly string[],
  style: ReaderStyle = {},
): GivenOptions<T> {
  const reading = new Reading(table, argv, style)
  reading.run(() => {})
  return new GivenOptions<T>(reading.given, reading.strays)
}

class Reading {
  readonly given: GivenOption[] = []
  readonly strays: string[] = []
  readonly #table: OptionTable
  readonly #names: OptionNames
  readonly #style: ReaderStyle
  readonly #words: readonly string[]
  #index = 0
  #ended = false

  constructor(table: OptionTable, words: readonly string[], style: ReaderStyle) {
    this.#table = table
    this.#names = new OptionNames(table, style.singleDash ?? false)
    this.#words = words
    this.#style = style
  }

  run(onFault: (fault: UsageError) => void): void {
    while (this.#index < this.#words.length && !this.#ended) {
      try {
        this.#next()
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        onFault(error)
      }
    }
  }

  #next(): void {
    const word = this.#words[this.#index++]!
    if (word === '--') {
      this.#ended = true
      for (const stray of this.#words.slice(this.#index)) this.#stray(stray)
    } else if (word === '-' || !word.startsWith('-')) this.#stray(word)
    else if (word.startsWith('--') || this.#style.singleDash) this.#long(word)
    else this.#letters(word)
  }

  #stray(word: string): void {
    if (this.#style.refuseStrays) throw new UsageError(`Unknown parameter '${word}'`)
    this.strays.push(word)
  }

  #long(word: string): void {
    const [, dashes = '', typed = '', inline] = /^(--?)([^=]*)(?:=([\s\S]*))?$/.exec(word)!
    const name = this.#names.resolve(typed, dashes)
    this.#take(name, dashes + name, inline)
  }

  #letters(word: string): void {
    for (let at = 1; at < word.length && !this.#ended; at++) {
      const letter = word[at]!
      const name = this.#names.ofLetter(letter)
      if (name === undefined) throw new UsageError(`invalid option '-${letter}'`)
      const rest = word.slice(at + 1)
      const takesRest = takesValue(this.#table[name]!) && rest !== ''
      this.#take(name, `-${letter}`, takesRest ? rest : undefined)
      if (takesRest) return
    }
  }

  /** @param shown the option as errors call it @param inline the value that came in the same word */
  #take(name: string, shown: string, inline: string | undefined): void {
    const spec = this.#table[name]!
    const value = this.#value(name, spec, shown, inline)
    if (spec.choices !== undefined && !spec.choices.includes(value))
      throw new UsageError(
        `${shown}: "${value}" is none of ${spec.choices.join(', ')}${choiceHint(value, spec.choices)}`,
        name,
      )
    this.given.push({ name, value, operand: this.#operand(name, spec) })
    this.#ended = spec.endsReading ?? false
  }

  #value(name: string, spec: OptionSpec, shown: string, inline: string | undefined): string {
    if (!takesValue(spec)) {
      if (inline !== undefined) throw new UsageError(`option '${shown}' doesn't allow an argument`)
      return ''
    }
    if (inline !== undefined) return inline
    const next = this.#words[this.#index]
    if (spec.valueOptional && (next === undefined || next.startsWith('-'))) return ''
    if (next === undefined) throw new UsageError(`option '${shown}' requires an argument`, name)
    this.#index++
    return next
  }

  /** It must be the word behind the value, wherever the strays are. */
  #operand(name: string, { operand }: OptionSpec): string {
    if (operand === undefined) return ''
    const next = this.#words[this.#index]
    if (next === undefined || next.startsWith('-'))
      throw new UsageError(`Missing ${operand} argument for --${name} option`)
    this.#index++
    return next
  }
}
