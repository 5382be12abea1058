/** What is printed for a command line that cannot be obeyed: the fault, how the option is written, where to read on. */
import type { Interface } from '../options/option.ts'
import { type OptionName, optionRow } from '../options/table.ts'
import type { CommandLineError } from '../parse/command-line-error.ts'

/** Lines for standard error, the last with its newline. */
export function commandLineErrorText(error: CommandLineError, iface: Interface): string {
  const lines = [`swtpm: ${error.message}`]
  if (error.option !== undefined) lines.push(...usageOf(error.option))
  lines.push(`Try 'swtpm ${iface} --help' for more.`, '')
  return lines.join('\n')
}

function usageOf(name: OptionName): string[] {
  const row = optionRow(name)
  const ways = row.synopsis ?? (row.metavar === undefined ? [] : [row.metavar])
  return ways.map((way, index) => `${index === 0 ? 'Usage:' : '   or:'} --${name} ${way}`)
}
