/** The help screen of a tool, laid out by yargs from the tool's option table. */

import type { Options } from 'yargs'
import { loadYargs } from './load-yargs.ts'
import { type OptionSpec, type OptionTable, takesValue } from './options/option-table.ts'
import { waysOf } from './options/synopsis.ts'

export interface HelpText {
  readonly tool: string
  readonly summary: string
  /** What follows the options: `-- COMMAND`. */
  readonly operands?: string
  readonly table: OptionTable
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  readonly epilogue: string
}

export async function helpScreen(help: HelpText): Promise<string> {
  const yargs = await loadYargs()
  const parser = yargs([])
    .scriptName(help.tool)
    .detectLocale(false)
    .usage(`${help.summary}\n\nUsage: $0 [options]${help.operands === undefined ? '' : ` ${help.operands}`}`)
    .help(false)
    .version(false)
    .wrap(Math.min(110, process.stdout.columns ?? 100))
  for (const [name, spec] of Object.entries(help.table)) {
    const option: Options = { group: `${spec.group}:`, describe: describe(spec) }
    if (!takesValue(spec)) option.type = 'boolean'
    else Object.assign(option, { type: 'string', requiresArg: !spec.valueOptional })
    if (spec.hidden) option.hidden = true
    if (spec.alias !== undefined) option.alias = spec.alias
    if (spec.choices !== undefined) option.choices = spec.choices
    parser.option(name, option)
  }
  for (const [command, meaning] of help.examples) parser.example(command, meaning)
  return parser.epilogue(help.epilogue).getHelp()
}

function describe(spec: OptionSpec): string {
  const ways = waysOf(spec).map((way) => (spec.valueOptional ? `[${way}]` : way))
  return [...ways, spec.describe].join(': ')
}
