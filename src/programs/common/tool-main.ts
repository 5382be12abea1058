/** What the main functions of the tools have in common: --help and --version, faults as text, the exit code. */

import { isFault, sentenceOf } from '../../system/fault.ts'
import { guarded } from '../../system/guard.ts'
import { versionLine } from '../../system/version.ts'
import type { HelpText } from './help.ts'
import type { GivenOptions } from './options/given-options.ts'
import type { OptionTable } from './options/option-table.ts'
import { type ReaderStyle, readInSpiteOfFaults, readOptions } from './options/read-options.ts'
import { UsageError, usageText } from './options/usage-error.ts'
import { printError, printOut } from './output.ts'
import { ToolFailure } from './tool-failure.ts'
import { ToolLog } from './tool-log.ts'

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
  /** The option that names a file for messages. Faults are reported there too. */
  readonly logOption?: keyof T & string
  /** The option with which a tool prints errors only. */
  readonly quietOption?: keyof T & string
  /** What comes before the log is opened: a change of user, so that the log belongs to that user. */
  prepare?(options: GivenOptions<T>): Promise<void>
  /** @returns the exit code @throws what is then reported, in the log and on standard error */
  run(options: GivenOptions<T>, log: ToolLog): Promise<number>
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
export function runTool<T extends OptionTable>(tool: Tool<T>): void {
  const run = new ToolRun(tool)
  // Thrown where nothing waits for it, in a callback for one.
  process.on('uncaughtException', (error) => process.exit(run.report(error)))
  guarded(
    run.exitCode(process.argv.slice(2)).then((code) => {
      process.exitCode = code
    }),
  )
}

class ToolRun<T extends OptionTable> {
  readonly #tool: Tool<T>
  #log = new ToolLog()
  #argv: readonly string[] = []

  constructor(tool: Tool<T>) {
    this.#tool = tool
  }

  async exitCode(argv: readonly string[]): Promise<number> {
    try {
      return await this.#run(argv)
    } catch (error) {
      return this.report(error)
    } finally {
      this.#log.close()
    }
  }

  /** @returns the exit code */
  report(error: unknown): number {
    const { tool, table, failureCode = 1 } = this.#tool
    if (error instanceof UsageError) {
      const text = usageText(tool, tool, error, table)
      printError(text)
      this.#appendToLog(text)
      return 1
    }
    this.#log.error(sentenceOf(error))
    return error instanceof ToolFailure ? error.exitCode : failureCode
  }

  /** To the log that a wrong command line names: what starts the tool may show its user nothing else. */
  #appendToLog(text: string): void {
    const { table, style, logOption } = this.#tool
    if (logOption === undefined) return
    const file = readInSpiteOfFaults(table, this.#argv, style).text(logOption)
    if (file === undefined) return
    try {
      const log = new ToolLog(file)
      log.info(text.trimEnd())
      log.close()
    } catch {
      // It has been printed.
    }
  }

  async #run(argv: readonly string[]): Promise<number> {
    const tool = this.#tool
    this.#argv = argv
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
    const logFile = tool.logOption === undefined ? undefined : options.text(tool.logOption)
    const quiet = tool.quietOption !== undefined && options.has(tool.quietOption)
    try {
      await tool.prepare?.(options)
    } catch (error) {
      this.#openLog(logFile, quiet, error)
      throw error
    }
    this.#openLog(logFile, quiet)
    if (tool.ignoresStrays) {
      for (const stray of options.strays)
        this.#log.error(`Ignoring the argument "${stray}": it belongs to no option`)
    }
    return await tool.run(options, this.#log)
  }

  /** @param fault what the log is opened for: it is more important than a log that cannot be opened */
  #openLog(file: string | undefined, quiet: boolean, fault?: unknown): void {
    try {
      this.#log = new ToolLog(file, quiet)
    } catch (error) {
      if (fault === undefined || !isFault(error)) throw error
    }
  }
}
