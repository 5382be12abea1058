/**
 * A command line read as getopt_long_only(3) does: `-c` and `--c` are the same, single letters have no clusters (`-cs`
 * is an option of its own), a value follows after a blank or `=`, unambiguous abbreviations stand for the whole.
 *
 * The main command's reader (cli/parse/) takes no `-stop`, and none of the others an option with two arguments, which
 * must be the two words behind it wherever the strays are.
 * @see getopt_long_only(3)
 */
import { meanings } from '../abbreviation.ts'
import { ToolFailure } from '../tool-failure.ts'
import type { CommandLine, Given, ToolOption, ToolOptions } from './client-options.ts'

/**
 * @param stopAt options that are answered at once, whatever follows: --help, --version
 * @throws ToolFailure beginning with the words of getopt, which people know
 */
export function getopt<T extends ToolOptions>(
  tool: string,
  table: T,
  stopAt: readonly (keyof T & string)[],
  argv: readonly string[],
): CommandLine<keyof T & string> {
  type Name = keyof T & string
  const given: Given<Name>[] = []
  const strays: string[] = []

  for (let index = 0; index < argv.length; ) {
    const word = argv[index++]!
    if (word === '--') {
      strays.push(...argv.slice(index))
      break
    }
    if (word === '-' || !word.startsWith('-')) {
      strays.push(word)
      continue
    }
    const [, dashes = '', typed = '', inline] = /^(--?)([^=]*)(?:=([\s\S]*))?$/.exec(word)!
    const name = resolve(table, typed, `${tool}: `, dashes) as Name
    const row: ToolOption = table[name]!
    const shown = dashes + name
    let value = ''
    if (row.value === undefined) {
      if (inline !== undefined) throw new ToolFailure(`${tool}: option '${shown}' doesn't allow an argument`)
    } else {
      const next = inline ?? argv[index++]
      if (next === undefined) throw new ToolFailure(`${tool}: option '${shown}' requires an argument`)
      value = next
    }
    let operand = ''
    if (row.operand !== undefined) {
      const next = argv[index++]
      if (next === undefined || next.startsWith('-')) {
        throw new ToolFailure(`Missing ${row.operand} argument for --${name} option`)
      }
      operand = next
    }
    given.push({ name, value, operand })
    if (stopAt.includes(name)) break
  }
  return { given, strays }
}

function resolve(table: ToolOptions, typed: string, prefix: string, dashes: string): string {
  const matches = meanings(typed, Object.keys(table))
  if (matches.length === 1) return matches[0]!
  if (matches.length > 1) {
    const list = matches.map((name) => `'${dashes}${name}'`).join(' ')
    throw new ToolFailure(`${prefix}option '${dashes}${typed}' is ambiguous; possibilities: ${list}`)
  }
  throw new ToolFailure(`${prefix}unrecognized option '${dashes}${typed}'; --help lists the options`)
}
