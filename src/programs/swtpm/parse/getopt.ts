/**
 * Splits a command line into options and values with the habits of getopt_long(3), driven by the option table.
 *
 * Why not yargs' own parser on this path: people and programs write command lines for getopt_long, and yargs-parser
 * differs where it hurts. It has no abbreviations (`--tpms`), takes `--no-x` as a negation and `--a.b` as a nested key,
 * collects repeated options into an array, lets `-5` be a number, and leaves unknown options to a later check that needs
 * the whole of yargs. This loop is shorter than the configuration that would hide those differences, and costs no module
 * at start-up. yargs renders help and completion from the same table, see ../help/.
 * @see getopt_long(3)
 */
import { meanings } from '../../common/abbreviation.ts'
import type { Interface, OptionRow } from '../options/option.ts'
import { type OptionName, optionsOf } from '../options/table.ts'
import { CommandLineError } from './command-line-error.ts'
import { didYouMean } from './did-you-mean.ts'

/** Option → its argument (`true` for an option without one). Of a repeated option the last one counts. */
export type GivenOptions = ReadonlyMap<OptionName, string | true>

type Row = [OptionName, OptionRow]

/** What stands on a command line: the options in order, each with the text that its error messages call it by. */
function* scan(argv: readonly string[], rows: readonly Row[], iface: Interface) {
  let index = 0
  /** The argument of an option that did not bring one with it. */
  const argument = (shown: string): string => {
    const next = argv[index++]
    if (next === undefined) throw new CommandLineError('setup', `option '${shown}' requires an argument`)
    return next
  }

  while (index < argv.length) {
    const word = argv[index++]!
    if (word === '--') break
    if (word.startsWith('--')) {
      const equals = word.indexOf('=')
      const shown = equals < 0 ? word : word.slice(0, equals)
      const [name, row] = findLong(shown.slice(2), rows, iface)
      if (row.type === 'string') {
        yield [name, equals < 0 ? argument(`--${name}`) : word.slice(equals + 1)] as const
      } else if (equals < 0) {
        yield [name, true] as const
      } else {
        throw new CommandLineError('setup', `option '--${name}' doesn't allow an argument`)
      }
    } else if (word.startsWith('-') && word !== '-') {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at]!
        const found = rows.find(([, row]) => row.alias === letter)
        if (found === undefined) {
          throw new CommandLineError('setup', `invalid option '-${letter}' (swtpm ${iface} does not have it)`)
        }
        const [name, row] = found
        if (row.type === 'boolean') {
          yield [name, true] as const
          continue
        }
        const rest = word.slice(at + 1)
        yield [name, rest !== '' ? rest : argument(`-${letter}`)] as const
        break
      }
    } else {
      throw new CommandLineError('setup', `Unknown parameter '${word}'`)
    }
  }
  if (index < argv.length) throw new CommandLineError('setup', `Unknown parameter '${argv[index]}'`)
}

/** A long option by its name or by an abbreviation that fits no other. */
function findLong(name: string, rows: readonly Row[], iface: Interface): Row {
  // What the reference has not must not make its abbreviations ambiguous.
  const eligible = rows.filter(([long, row]) => long === name || !row.extension?.includes(iface))
  const names = eligible.map(([long]) => long)
  const fitting = meanings(name, names)
  if (fitting.length === 1) return rows.find(([long]) => long === fitting[0])!
  if (fitting.length > 1) {
    const list = fitting.map((long) => `--${long}`).join(', ')
    throw new CommandLineError('setup', `option '--${name}' is ambiguous; it could be ${list}`)
  }
  const hint = didYouMean(
    name,
    rows.map(([long]) => long),
  )
  throw new CommandLineError(
    'setup',
    `unrecognized option '--${name}'${hint === undefined ? '' : `; did you mean '--${hint}'?`}`,
  )
}

/**
 * Reads the words after the interface's name.
 *
 * `--help` and `--version` end the reading, as they do in the reference: what follows them is not looked at.
 * @throws {CommandLineError} for an unknown, ambiguous or incomplete option, and for a word that is none.
 */
export function getopt(argv: readonly string[], iface: Interface): GivenOptions {
  const given = new Map<OptionName, string | true>()
  for (const [name, value] of scan(argv, optionsOf(iface), iface)) {
    given.set(name, value)
    if (name === 'help' || name === 'version') break
  }
  return given
}
