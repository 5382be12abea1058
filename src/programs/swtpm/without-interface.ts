/** `swtpm` without the name of an interface: fleets, faults, CDI, traces, recordings, kernel tests, help, version, shell completion, or an error. */

import { reportUsage } from '../../command-line/exit/report-failure.ts'
import { optionTable } from '../../command-line/options/table.ts'
import { namedLog } from '../../command-line/parse/named-log.ts'
import { printOut } from '../common/output.ts'
import { COMPLETION_REQUEST, complete, printCompletionScript } from './help/completion.ts'
import { interfaceError, programHelp, programVersion } from './help/program-help.ts'
import { LONE_WORDS, SUBCOMMANDS } from './subcommands.ts'

/** @returns the exit code */
export async function withoutInterface(argv: readonly string[]): Promise<number> {
  const [word] = argv
  switch (word) {
    case '-h':
    case '--help':
      printOut(programHelp())
      return 0
    case '-v':
    case '--version':
      printOut(programVersion())
      return 0
    case 'cdi': {
      const { cdi } = await import('./cdi/cdi-command.ts')
      return cdi(argv.slice(1))
    }
    case 'doctor': {
      const { doctor } = await import('./doctor/doctor-command.ts')
      return doctor(argv.slice(1))
    }
    case 'fault': {
      const { fault } = await import('./fault/fault-command.ts')
      return fault(argv.slice(1))
    }
    case 'fleet': {
      const { fleet } = await import('./fleet/fleet-command.ts')
      return fleet(argv.slice(1))
    }
    case 'list': {
      const { list } = await import('./list/list-command.ts')
      return list(argv.slice(1))
    }
    case 'record': {
      const { record } = await import('./record/record-command.ts')
      return record(argv.slice(1))
    }
    case 'replay': {
      const { replay } = await import('./replay/replay-command.ts')
      return replay(argv.slice(1))
    }
    case 'state': {
      const { state } = await import('./state/state-command.ts')
      return state(argv.slice(1))
    }
    case 'trace': {
      const { trace } = await import('./trace/trace-command.ts')
      return trace(argv.slice(1))
    }
    case 'run': {
      const { run } = await import('./run/run-command.ts')
      return run(argv.slice(1))
    }
    case 'ktest': {
      const { ktest } = await import('./ktest/ktest-command.ts')
      return ktest(argv.slice(1))
    }
    case 'completion':
      await printCompletionScript()
      return 0
    case COMPLETION_REQUEST:
      printOut((await complete(argv.slice(1))).map((line) => `${line}\n`).join(''))
      return 0
    default:
      reportUsage(interfaceError(word, [...SUBCOMMANDS.keys(), ...LONE_WORDS]), namedLog(optionTable, argv))
      return 1
  }
}
