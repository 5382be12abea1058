/**
 * `swtpm INTERFACE --help`: rendered by yargs from the option table, with examples, environment, exit codes and where to
 * read on. yargs is loaded here and nowhere on the way to a running TPM.
 */

import type { OptionRow } from '../../../command-line/options/option.ts'
import { type OptionName, optionsOf } from '../../../command-line/options/table.ts'
import type { Interface } from '../../../serve/config.ts'
import { loadYargs } from '../../common/load-yargs.ts'
import { takesValue } from '../../common/options/option-table.ts'
import { describeOption, toPlainBlanks } from './layout.ts'
import { topics } from './topics.ts'

const WIDTH_MIN = 60
const WIDTH_MAX = 110
const WIDTH_DEFAULT = 100
/** What yargs puts around the names of the options: two blanks on either side. */
const NAME_PADDING = 4

/** The whole help text of an interface, for a terminal of this width. */
export async function interfaceHelp(
  iface: Interface,
  columns: number | undefined = process.stdout.columns,
): Promise<string> {
  const yargs = await loadYargs()
  const width = Math.max(WIDTH_MIN, Math.min(columns ?? WIDTH_DEFAULT, WIDTH_MAX))
  const { summary } = topics[iface]
  const parser = yargs([])
    .scriptName(`swtpm ${iface}`)
    .detectLocale(false)
    .usage(`${summary}\n\nUsage: swtpm ${iface} [options]`)
    .help(false)
    .version(false)
    .wrap(width)
  // The types would only say that an argument is a string; the typings do not have this setting yet.
  const configurable = parser as unknown as { usageConfiguration(settings: { 'hide-types': boolean }): void }
  configurable.usageConfiguration({ 'hide-types': true })

  const options = optionsOf(iface)
  const described = new Map<unknown, OptionName>()
  for (const [name, row] of options) {
    const sameAs = row.sub && described.get(row.sub)
    if (row.sub && sameAs === undefined) described.set(row.sub, name)
    const textWidth = width - nameWidth(row.group, options) - NAME_PADDING
    const { alias, group } = row
    parser.option(name, {
      type: takesValue(row) ? 'string' : 'boolean',
      group,
      ...(alias ? { alias } : {}),
      describe: describeOption(row, textWidth),
    })
  }
  return `${toPlainBlanks(await parser.getHelp())}\n\n${epilogue(iface)}`
}

/** Width of the longest name of a group, as yargs writes it: `-p, --port`. */
function nameWidth(group: string, options: readonly [OptionName, OptionRow][]): number {
  return Math.max(
    ...options.filter(([, row]) => row.group === group).map(([name]) => '-x, --'.length + name.length),
  )
}

function epilogue(iface: Interface): string {
  const { examples, environment, exitCodes, seeAlso } = topics[iface]
  return [
    'BOOL is true, false, 1 or 0; without it, true. MODE is octal, up to 0777.',
    'Options may be shortened while they are unambiguous; --option=ARGUMENT works too.',
    '',
    'Examples:',
    ...examples.flatMap(({ command, meaning }) => [`  ${meaning}:`, `    ${command}`]),
    '',
    'Environment:',
    ...twoColumns(environment),
    '',
    'Exit codes:',
    ...twoColumns(exitCodes),
    '',
    `See also: ${seeAlso}`,
    '',
  ].join('\n')
}

function twoColumns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`)
}
