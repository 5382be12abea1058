/** `swtpm`: reads the command line and does what it asks for. */
import { SwtpmError } from '../../system/errors.ts'
import { log } from '../../system/log.ts'
import { CommandLineError, exitCodeOf, isInterface, parseCommandLine } from './parse-command-line.ts'
import { serveSwtpm } from './serve.ts'

async function main(argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv
  if (!isInterface(word)) {
    const { withoutInterface } = await import('./without-interface.ts')
    return withoutInterface(argv)
  }
  try {
    const commandLine = parseCommandLine(rest, process.env, word)
    if (commandLine.action === 'run') return await serveSwtpm(commandLine)
    const { print } = await import('./print.ts')
    return await print(commandLine)
  } catch (error) {
    if (error instanceof CommandLineError) {
      const { commandLineErrorText } = await import('./help/error-hint.ts')
      process.stderr.write(commandLineErrorText(error, word))
      return error.exitCode(word)
    }
    if (!(error instanceof SwtpmError)) throw error
    log.error(error.message)
    return exitCodeOf(error, word)
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`swtpm: internal error: ${error instanceof Error ? error.stack : error}\n`)
    process.exit(1)
  },
)
