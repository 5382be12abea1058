/** Programs of the host that prepare a machine: their output, and their failures as sentences. */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { reasonOf } from '../system/reason.ts'
import { MachineFault } from './machine-fault.ts'

/** More than any file that is unpacked here. */
const MAX_OUTPUT_BYTES = 512 << 20

export interface ProgramOptions {
  readonly cwd?: string
  readonly input?: Buffer
  /** The way out when it fails. */
  readonly hint?: string
}

/**
 * Runs a program to its end and returns what it printed on stdout.
 * @throws MachineFault when it cannot be started or ends with another status than 0
 */
export function outputOf(program: string, args: readonly string[], options: ProgramOptions = {}): Buffer {
  const { hint, ...rest } = options
  const result: SpawnSyncReturns<Buffer> = spawnSync(program, args, { maxBuffer: MAX_OUTPUT_BYTES, ...rest })
  if (result.error !== undefined) throw cannotStart(program, result.error, hint)
  if (result.status !== 0)
    throw failed(program, args, result.signal ?? result.status, String(result.stderr), hint)
  return result.stdout
}

/** What it printed on stdout, however it ended; '' where there is no such program. */
export function answerOf(program: string, args: readonly string[]): string {
  return spawnSync(program, args, { encoding: 'utf8', maxBuffer: MAX_OUTPUT_BYTES }).stdout ?? ''
}

/**
 * Runs a program to its end, while this process goes on.
 * @throws MachineFault when it cannot be started or ends with another status than 0
 */
export function runProgram(
  program: string,
  args: readonly string[],
  { hint, ...options }: ProgramOptions = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    let output = ''
    const keep = (chunk: Buffer) => {
      output = (output + chunk).slice(-64 * 1024)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', (error) => reject(cannotStart(program, error, hint)))
    child.on('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(failed(program, args, signal ?? code, output, hint))
    })
  })
}

/** Whether PATH has a program of this name. */
export const isProgram = (name: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status === 0

function cannotStart(program: string, error: Error, hint: string | undefined): MachineFault {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
  const reason = missing ? 'no such program in PATH' : reasonOf(error)
  return new MachineFault(`Cannot run "${program}": ${reason}`, { hint, cause: error })
}

function failed(
  program: string,
  args: readonly string[],
  end: number | string | null,
  output: string,
  hint: string | undefined,
): MachineFault {
  const how = typeof end === 'string' ? end : `status ${end}`
  return new MachineFault(`Command "${[program, ...args].join(' ')}" ended with ${how}`, {
    hint,
    output: output.trim(),
  })
}
