/** What was given on a command line. */
import type { OptionTable } from './option-table.ts'

/** What a function needs that reads only some options; several tables have those. */
export interface Given<Name extends string> {
  has(name: Name): boolean
  /** The value; the last one of an option that was repeated, '' for a switch. */
  text(name: Name): string | undefined
  /** The values of an option that counts each time. */
  all(name: Name): readonly string[]
}

/** One option as it was given. */
export interface GivenOption<Name extends string = string> {
  readonly name: Name
  /** '' for a switch. */
  readonly value: string
  /** '' unless the table asks for one. */
  readonly operand: string
}

export class GivenOptions<T extends OptionTable> implements Given<keyof T & string> {
  /** In the order of the command line. */
  readonly list: readonly GivenOption<keyof T & string>[]
  /** Words that belong to no option. */
  readonly strays: readonly string[]

  constructor(list: readonly GivenOption<keyof T & string>[], strays: readonly string[]) {
    this.list = list
    this.strays = strays
  }

  has(name: keyof T & string): boolean {
    return this.list.some((option) => option.name === name)
  }

  text(name: keyof T & string): string | undefined {
    return this.list.findLast((option) => option.name === name)?.value
  }

  all(name: keyof T & string): readonly string[] {
    return this.list.filter((option) => option.name === name).map(({ value }) => value)
  }
}
