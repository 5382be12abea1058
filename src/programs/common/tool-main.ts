/** What the main functions of the tools have in common: --help and --version, faults as text, the exit code. */

import { SwtpmError } from '../../system/errors.ts'
import { versionLine } from '../../system/version.ts'
import type { HelpText } from './help.ts'
import type { GivenOptions } from './options/given-options.ts'
import type { OptionTable } from './options/option-table.ts'
import { type ReaderStyle, readOptions } from './options/read-options.ts'
import { UsageError, usageText } from './options/usage-error.ts'
import { printError, printOut } from './output.ts'
import { ToolFailure } from './tool-failure.ts'

export interface Tool<T extends OptionTable> extends Omit<HelpText, 'table'> {
  readonly table: T
  /** The options that print the help and the version. */
  readonly helpOption: keyof T & string
  readonly versionOption: keyof T & string
  readonly style?: ReaderStyle
  /** Words that belong to no option are reported and ignored. */
  readonly ignoresStrays?: true
  /** What the version line calls the program. */
  readonly title: string
  /** Exit code when the TPM cannot be reached, or another fault is not the command line's; 1 unless given. */
  readonly failureCode?: number
  /** @returns the exit code */
  run(options: GivenOptions<T>): Promise<number>
}

export const COMMON_OPTIONS = {
  version: { group: 'About', describe: 'Print the version and exit', endsReading: true },
  help: {
    group: 'About',
    alias: 'h',
    otherNames: ['?'],
    describe: 'Print this help and exit',
    endsReading: true,
  },
} as const satisfies OptionTable

/** Runs a tool on this process's arguments and leaves its exit code for the end of the process. */
export async function runTool<T extends OptionTable>(tool: Tool<T>): Promise<void> {
  process.exitCode = await exitCodeOf(tool, process.argv.slice(2))
}

async function exitCodeOf<T extends OptionTable>(tool: Tool<T>, argv: readonly string[]): Promise<number> {
  try {
    const options = readOptions(tool.table, argv, tool.style)
    if (options.has(tool.helpOption)) {
      // yargs is most of a tool's code: only help pays for loading it.
      const { helpScreen } = await import('./help.ts')
      printOut(`${await helpScreen(tool)}\n`)
      return 0
    }
    if (options.has(tool.versionOption)) {
      printOut(`${versionLine(tool.title)}\n`)
      return 0
    }
    if (tool.ignoresStrays) {
      for (const stray of options.strays)
        printError(`Ignoring the argument "${stray}": it belongs to no option\n`)
    }
    return await tool.run(options)
  } catch (error) {
    return report(error, tool.tool, tool.table, tool.failureCode ?? 1)
  }
}

function report(error: unknown, program: string, table: OptionTable, failureCode: number): number {
  if (error instanceof UsageError) {
    printError(usageText(program, program, error, table))
    return 1
  }
  const expected = error instanceof ToolFailure || error instanceof SwtpmError
  printError(`${expected ? error.message : ((error as Error).stack ?? error)}\n`)
  return error instanceof ToolFailure ? error.exitCode : failureCode
}
