/** What the main functions of the client tools have in common. */
import { SwtpmError } from '../../../system/errors.ts'
import { COMPATIBLE_VERSION, PACKAGE_VERSION } from '../../../system/version.ts'
import type { HelpText } from '../help.ts'
import { ToolFailure } from '../tool-failure.ts'
import { printError, printOut } from './output.ts'

/** First line of --version, with the number where scripts look for it. */
export const versionText = (title: string): string =>
  `${title} version ${COMPATIBLE_VERSION}, swtpm for Node.js ${PACKAGE_VERSION}\n`

export async function printHelp(help: HelpText): Promise<void> {
  // yargs is many times the rest of the tool; only help pays for loading it.
  const { helpScreen } = await import('../help.ts')
  printOut(`${await helpScreen(help)}\n`)
}

/**
 * Runs the tool and leaves its exit code for the end of the process.
 * @param noAnswerCode the exit code for a TPM that cannot be reached
 */
export async function runClientTool(run: () => Promise<number>, noAnswerCode: number): Promise<void> {
  try {
    process.exitCode = await run()
  } catch (error) {
    const expected = error instanceof ToolFailure || error instanceof SwtpmError
    printError(`${expected ? error.message : ((error as Error).stack ?? error)}\n`)
    process.exitCode = error instanceof ToolFailure ? error.exitCode : noAnswerCode
  }
}
