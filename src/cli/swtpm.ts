/** `swtpm`: reads the command line and runs the front end it names. */
import { SwtpmError } from '../errors.ts'
import { type CommandLine, CommandLineError, isInterface, parseCommandLine } from './parse.ts'
import { print } from './print.ts'
import { serveSwtpm } from './serve.ts'

async function main(argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv
  if (!isInterface(word)) {
    const { topLevel } = await import('./top-level.ts')
    return topLevel(word)
  }
  let commandLine: CommandLine
  try {
    commandLine = parseCommandLine(rest, process.env, word)
  } catch (error) {
    if (!(error instanceof CommandLineError)) throw error
    process.stderr.write(`swtpm: ${error.message}\n`)
    return error.exitCode(word)
  }
  try {
    return commandLine.action === 'run' ? await serveSwtpm(commandLine) : await print(commandLine)
  } catch (error) {
    if (!(error instanceof SwtpmError)) throw error
    process.stderr.write(`swtpm: ${error.message}\n`)
    return 1
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`swtpm: internal error: ${error instanceof Error ? error.stack : error}\n`)
    process.exit(1)
  },
)
