/**
 * How a program declares its options: one row each. The reader of the command line, errors, help, manual page and shell
 * completion are all made from these rows; none of them lists an option a second time.
 */
import type { SubOptionSchema } from './sub-option.ts'

export interface OptionSpec {
  /** How the value is written, such as `FILE`; a row with neither `value` nor `sub` is a switch. */
  readonly value?: string
  /** The value is a comma-separated list of these. */
  readonly sub?: SubOptionSchema
  /** The value may be left out. */
  readonly valueOptional?: boolean
  /** All values that are taken. */
  readonly choices?: readonly string[]
  /** Values that completion proposes; the program checks the value itself. */
  readonly suggestions?: readonly string[]
  /** A word that must follow the value: `--save TYPE FILE`. */
  readonly operand?: string
  /** A letter (`-p`), or another long name. */
  readonly alias?: string
  /** Names that are taken and not shown. */
  readonly otherNames?: readonly string[]
  /** Heading in help and manual page. */
  readonly group: string
  readonly describe: string
  /** What holds without the option, in words. */
  readonly defaultDescription?: string
  /** Taken for old command lines, and left out of help, manual page and completion. */
  readonly hidden?: boolean
  /** Must be written out, so that it never makes an abbreviation ambiguous which the reference takes. */
  readonly unabbreviated?: boolean
  /** Answered at once: what follows on the command line is not read. */
  readonly endsReading?: boolean
}

/** Long name → row, in the order in which help shows them. */
export type OptionTable = Readonly<Record<string, OptionSpec>>

export const takesValue = ({ value, sub }: OptionSpec): boolean => value !== undefined || sub !== undefined
