/** `swtpm`: reads the command line and does what it asks for. */
import { SwtpmError } from '../../system/errors.ts'
import { log } from '../../system/log.ts'
import { usageText } from '../common/options/usage-error.ts'
import { CommandLineError } from './exit/command-line-error.ts'
import { exitCodeOf } from './exit/exit-code.ts'
import { optionTable } from './options/table.ts'
import { isInterface, parseCommandLine } from './parse/parse-command-line.ts'
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
      process.stderr.write(usageText('swtpm', `swtpm ${word}`, error, optionTable))
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
