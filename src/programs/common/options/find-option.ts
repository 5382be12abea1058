/** The option that a word on the command line names: by its name, an alias, or an abbreviation that fits no other. */
import { didYouMean } from '../../../system/did-you-mean.ts'
import type { OptionTable } from './option-table.ts'
import { UsageError } from './usage-error.ts'

export class OptionNames {
  /** Every name, whether shown or not → the option in the table. */
  readonly #targets = new Map<string, string>()
  readonly #letters = new Map<string, string>()
  readonly #table: OptionTable

  /** @param lettersAreNames `-h` is read as the name `h`, not as a letter */
  constructor(table: OptionTable, lettersAreNames: boolean) {
    this.#table = table
    for (const [name, { alias, otherNames = [] }] of Object.entries(table)) {
      this.#targets.set(name, name)
      for (const other of [...(alias === undefined ? [] : [alias]), ...otherNames]) {
        const isLetter = other.length === 1 && !lettersAreNames
        ;(isLetter ? this.#letters : this.#targets).set(other, name)
      }
    }
  }

  ofLetter(letter: string): string | undefined {
    return this.#letters.get(letter)
  }

  /**
   * @param typed without its dashes
   * @param dashes for errors: as they were typed
   * @throws UsageError for an unknown or ambiguous name
   */
  resolve(typed: string, dashes: string): string {
    const exact = this.#targets.get(typed)
    if (exact !== undefined) return exact
    const fitting = typed === '' ? [] : this.#abbreviated(typed)
    const options = new Set(fitting.map((name) => this.#targets.get(name)!))
    if (options.size === 1) return [...options][0]!
    if (options.size > 1) {
      const list = fitting.map((name) => dashes + name).join(', ')
      throw new UsageError(`option '${dashes}${typed}' is ambiguous; it could be ${list}`)
    }
    const meant = didYouMean(typed, this.#shown())
    const hint = meant === undefined ? '' : `; did you mean '${dashes}${meant}'?`
    throw new UsageError(`unrecognized option '${dashes}${typed}'${hint}`)
  }

  #abbreviated(typed: string): string[] {
    return [...this.#targets]
      .filter(([name, option]) => name.startsWith(typed) && !this.#table[option]!.unabbreviated)
      .map(([name]) => name)
  }

  #shown(): string[] {
    return Object.entries(this.#table)
      .filter(([, { hidden }]) => !hidden)
      .flatMap(([name, { alias }]) => (alias === undefined || alias.length === 1 ? [name] : [name, alias]))
  }
}
