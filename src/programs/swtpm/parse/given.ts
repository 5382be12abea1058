/** How the modules of this folder get at what was given on the command line. */
import type { SubOptionSchema, SubOptionValues } from '../options/option.ts'
import type { OptionName } from '../options/table.ts'
import { CommandLineError, type ExitReason } from './command-line-error.ts'
import type { GivenOptions } from './getopt.ts'
import { parseSubOptions } from './sub-options.ts'

/** The argument of an option that takes one. */
export function argumentOf(given: GivenOptions, name: OptionName): string | undefined {
  const value = given.get(name)
  return typeof value === 'string' ? value : undefined
}

/** The sub-options of an option, or `undefined` when the option was not given. */
export function subOptionsOf<S extends SubOptionSchema>(
  given: GivenOptions,
  name: OptionName,
  schema: S,
  reason: ExitReason = 'badOption',
): SubOptionValues<S> | undefined {
  const text = argumentOf(given, name)
  return text === undefined ? undefined : parseSubOptions(name, text, schema, reason)
}

/**
 * The number that an option takes, in the notation of C: `0x1f`, `017`, `15`.
 * @throws {CommandLineError} when it is something else or above `max`.
 */
export function cNumberOf(
  given: GivenOptions,
  name: OptionName,
  max: number,
  reason: ExitReason = 'general',
): number | undefined {
  const text = argumentOf(given, name)
  if (text === undefined) return undefined
  const number = readCNumber(text)
  if (number === undefined || number > max) {
    throw new CommandLineError(reason, `--${name}: "${text}" is not a number from 0 to ${max}`, name)
  }
  return number
}

function readCNumber(text: string): number | undefined {
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return Number.parseInt(text.slice(2), 16)
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8)
  if (/^[1-9][0-9]*$/.test(text)) return Number.parseInt(text, 10)
  return undefined
}
