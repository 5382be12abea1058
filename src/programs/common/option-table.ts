/** How a tool declares its options: one table gives parsing, help and errors. */

export interface OptionSpec {
  /** The name of its value in the help; without one the option is a switch. */
  readonly value?: string
  /** The value may be left out. */
  readonly valueOptional?: boolean
  /** Every use counts; otherwise the last one does. */
  readonly repeatable?: boolean
  readonly choices?: readonly string[]
  readonly alias?: string
  readonly group: string
  readonly describe: string
  /** Accepted for old command lines and left out of the help. */
  readonly hidden?: boolean
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

/** What was given on a command line, by option name. */
export class GivenOptions<T extends OptionTable> {
  readonly #values: ReadonlyMap<string, readonly string[]>
  /** Arguments that belong to no option. */
  readonly strays: readonly string[]

  constructor(values: ReadonlyMap<string, readonly string[]>, strays: readonly string[]) {
    this.#values = values
    this.strays = strays
  }

  has(name: keyof T & string): boolean {
    return this.#values.has(name)
  }

  /** The last value given. */
  text(name: keyof T & string): string | undefined {
    return this.#values.get(name)?.at(-1)
  }

  all(name: keyof T & string): readonly string[] {
    return this.#values.get(name) ?? []
  }
}
