/** Runs a command as long as it takes, and passes on what is meant for it. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { reasonOf } from '../../../system/reason.ts'
import { ToolFailure } from '../../common/tool-failure.ts'

/** As shells have it. */
export const NOT_FOUND = 127
export const NOT_EXECUTABLE = 126
const SIGNAL_BASE = 128
/** The terminal sends SIGINT and SIGQUIT to the command itself; we only have to outlive it. */
const FROM_THE_TERMINAL = ['SIGINT', 'SIGQUIT'] as const
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const

/** A command that could not be started, with the exit code that shells have for that. */
export class NotStarted extends ToolFailure {
  constructor(command: string, error: unknown) {
    const exitCode = (error as NodeJS.ErrnoException).code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE
    super(`Cannot run "${command}": ${reasonOf(error)}`, { exitCode })
  }
}

/** @returns its exit code; of a command that a signal has ended, 128 and the signal's number @throws NotStarted */
export function runChild(command: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const [program = '', ...words] = command
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: 'inherit', env: environment })
    const handlers = [
      ...FROM_THE_TERMINAL.map((signal) => [signal, () => {}] as const),
      ...PASSED_ON.map((signal) => [signal, () => child.kill(signal)] as const),
    ]
    for (const [signal, handler] of handlers) process.on(signal, handler)
    child.on('error', (error) => reject(new NotStarted(program, error)))
    child.on('exit', (code, signal) => {
      for (const [name, handler] of handlers) process.off(name, handler)
      resolve(code ?? SIGNAL_BASE + constants.signals[signal as NodeJS.Signals])
    })
  })
}
