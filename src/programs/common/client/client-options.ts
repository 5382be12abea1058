/** How the client tools declare their options; one table gives parsing, errors and help. */
import type { OptionSpec } from '../option-table.ts'

export interface ToolOption extends OptionSpec {
  /** What must stand on the command line behind the option's value: `--save TYPE FILE`. */
  readonly operand?: string
}

export type ToolOptions = Readonly<Record<string, ToolOption>>

/** One option as it was given. */
export interface Given<Name extends string = string> {
  readonly name: Name
  /** Empty for a switch. */
  readonly value: string
  /** Empty unless the table asks for one. */
  readonly operand: string
}

export interface CommandLine<Name extends string = string> {
  /** In the order of the command line. */
  readonly given: readonly Given<Name>[]
  /** Words that belong to no option. */
  readonly strays: readonly string[]
}
