/** What every tool's main function has in common: --help and --version, faults as text, the exit code. */

import type { HelpText } from './help.ts'
import type { GivenOptions, OptionTable } from './option-table.ts'
import { type GetoptStyle, readCommandLine } from './read-command-line.ts'
import { ToolFailure } from './tool-failure.ts'
import { ToolLog } from './tool-log.ts'

export interface Tool<T extends OptionTable> extends Omit<HelpText, 'table'> {
  readonly table: T
  readonly style?: GetoptStyle
  readonly versionLine: string
  /** @returns the exit code */
  run(options: GivenOptions<T>): Promise<number>
}

export const COMMON_OPTIONS = {
  version: { group: 'About', describe: 'Print the version and exit' },
  help: { group: 'About', alias: 'h', describe: 'Print this help and exit' },
} as const satisfies OptionTable

/** Runs a tool on this process's arguments and leaves its exit code for the end of the process. */
export async function runTool<T extends OptionTable>(tool: Tool<T>): Promise<void> {
  const stderr = new ToolLog()
  try {
    const argv = process.argv.slice(2).map((argument) => (/^-[h?]$/.test(argument) ? '--help' : argument))
    const options = parse(tool, argv)
    if (options.has('help')) {
      // yargs is most of a tool's code: only help pays for loading it.
      const { helpScreen } = await import('./help.ts')
      process.stdout.write(`${await helpScreen(tool)}\n`)
    } else if (options.has('version')) {
      process.stdout.write(`${tool.versionLine}\n`)
    } else {
      for (const stray of options.strays)
        stderr.error(`Ignoring the argument "${stray}": it belongs to no option`)
      process.exitCode = await tool.run(options)
    }
  } catch (error) {
    stderr.error(error instanceof ToolFailure ? error.message : String((error as Error).stack ?? error))
    process.exitCode = error instanceof ToolFailure ? error.exitCode : 1
  }
}

function parse<T extends OptionTable>(tool: Tool<T>, argv: readonly string[]): GivenOptions<T> {
  try {
    return readCommandLine(tool.table, argv, tool.style)
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error
    throw new ToolFailure(`${tool.tool}: ${error.message}; ${tool.tool} --help lists the options`, {
      cause: error,
    })
  }
}
