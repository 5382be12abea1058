/** `swtpm`: reads the command line and does what it asks for. */

import { CommandLineError } from '../../command-line/exit/command-line-error.ts'
import { exitCodeOf } from '../../command-line/exit/exit-code.ts'
import {
  type Logging,
  onEscapedError,
  reportFailure,
  reportUsage,
} from '../../command-line/exit/report-failure.ts'
import { optionTable } from '../../command-line/options/table.ts'
import { namedLog } from '../../command-line/parse/named-log.ts'
import { isInterface, parseCommandLine } from '../../command-line/parse/parse-command-line.ts'
import { Keeper, keeperFd } from '../../keeper/keeper.ts'
import type { ScriptConfig } from '../../serve/config.ts'
import { checkDescriptors } from '../../serve/descriptors.ts'
import { SwtpmError } from '../../system/errors.ts'
import { guarded } from '../../system/guard.ts'
import { DEFAULT_LOG_PREFIX } from '../../system/log.ts'
import { reserveDescriptor } from '../../system/process/inherited-descriptors.ts'
import { usageText } from '../common/options/usage-error.ts'
import { resumeSwtpm, serveSwtpm } from './serve.ts'

/** Until the command line says more. */
const NO_LOG: Logging = {
  log: { destination: { kind: 'stderr' }, level: 1, prefix: DEFAULT_LOG_PREFIX, format: 'text' },
}

async function main(argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv
  let logging = NO_LOG
  try {
    if (!isInterface(word)) {
      const { withoutInterface } = await import('./without-interface.ts')
      return await withoutInterface(argv)
    }
    const commandLine = parseCommandLine(rest, process.env, word)
    logging = commandLine
    if ('script' in commandLine && commandLine.script !== undefined) await checkRules(commandLine.script)
    // The descriptors of the command line are long used when another supervisor has served before.
    if (commandLine.action === 'run' && Keeper.hasWoken) return await resumeSwtpm(commandLine)
    reserveDescriptor(keeperFd())
    checkDescriptors(commandLine)
    if (commandLine.action === 'run') return await serveSwtpm(commandLine)
    const { print } = await import('./print.ts')
    return await print(commandLine)
  } catch (error) {
    const iface = isInterface(word) ? word : 'socket'
    if (error instanceof CommandLineError) {
      reportUsage(usageText('swtpm', `swtpm ${word}`, error, optionTable), namedLog(optionTable, rest))
      return error.exitCode(iface)
    }
    reportFailure(error, logging)
    return exitCodeOf(error, iface)
  }
}

/** Before anything is opened. @throws CommandLineError */
async function checkRules(script: ScriptConfig): Promise<void> {
  const { checkScript } = await import('../../serve/scripting/check-script.ts')
  try {
    checkScript(script)
  } catch (error) {
    if (error instanceof SwtpmError) throw new CommandLineError('general', error.message, 'fault')
    throw error
  }
}

const words = process.argv.slice(2)
// Scripts look for the command line of swtpm in the list of processes, and expect one: the keeper's.
process.title = 'node'
onEscapedError(async () => {})
guarded(main(words).then((code) => process.exit(code)))
