/** How the modules of this folder get at what was given on the command line. */
import type { Given } from '../../programs/common/options/given-options.ts'
import {
  type GivenSubOptions,
  type SubOptionSchema,
  type SubOptionValues,
  withDefaults,
} from '../../programs/common/options/sub-option.ts'
import { CommandLineError, type ExitReason } from '../exit/command-line-error.ts'
import type { ListOptionName, OptionName } from '../options/table.ts'
import { parseSubOptions, readUnsigned } from './sub-options.ts'

/** The sub-options that were given, or `undefined` when the option was not. */
export function givenSubOptions<N extends ListOptionName, S extends SubOptionSchema>(
  given: Given<NoInfer<N>>,
  name: N,
  schema: S,
  reason: ExitReason = 'badOption',
): GivenSubOptions<S> | undefined {
  const text = given.text(name)
  return text === undefined ? undefined : parseSubOptions(name, text, schema, reason)
}

/** All sub-options of an option with their defaults, or `undefined` when the option was not given. */
export function subOptionsOf<N extends ListOptionName, S extends SubOptionSchema>(
  given: Given<NoInfer<N>>,
  name: N,
  schema: S,
  reason: ExitReason = 'badOption',
): SubOptionValues<S> | undefined {
  const values = givenSubOptions(given, name, schema, reason)
  return values === undefined ? undefined : withDefaults(schema, values)
}

/** As {@link subOptionsOf}; the defaults also when the option was not given. */
export function settingsOf<N extends ListOptionName, S extends SubOptionSchema>(
  given: Given<NoInfer<N>>,
  name: N,
  schema: S,
  reason: ExitReason = 'badOption',
): SubOptionValues<S> {
  return withDefaults(schema, givenSubOptions(given, name, schema, reason))
}

/**
 * The number of a descriptor that was handed in; standard input, output and error are not taken.
 * @throws {CommandLineError}
 */
export function descriptorOf<N extends OptionName>(given: Given<NoInfer<N>>, name: N): number | undefined {
  const text = given.text(name)
  if (text === undefined) return undefined
  const fd = readUnsigned(text, 10, 0x7fff_ffff)
  if (fd === undefined)
    throw new CommandLineError('general', `--${name}: "${text}" is not a file descriptor number`, name)
  if (fd < 3) {
    throw new CommandLineError(
      'general',
      `--${name}: ${fd} is standard input, output or error; it must be 3 or higher`,
      name,
    )
  }
  return fd
}

/**
 * The number that an option takes, in the notation of C: `0x1f`, `017`, `15`.
 * @throws {CommandLineError} when it is something else or above `max`.
 */
export function cNumberOf<N extends OptionName>(
  given: Given<NoInfer<N>>,
  name: N,
  max: number,
  reason: ExitReason = 'general',
): number | undefined {
  const text = given.text(name)
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
