// Runs other programs, and turns their failures into errors that name the program, the reason and the way out.

import { spawn, spawnSync } from 'node:child_process'

/** An error whose message is meant for the person at the terminal: no stack trace is shown for it. */
export class UserError extends Error {
  /**
   * @param {string} message what could not be done, and why
   * @param {{ hint?: string, output?: string, cause?: unknown }} [details] `hint`: the way out;
   *   `output`: what the failing program printed
   */
  constructor(message, details = {}) {
    super(message, { cause: details.cause })
    this.hint = details.hint
    this.output = details.output
  }
}

/**
 * Runs a program to its end and returns what it printed on stdout.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnSyncOptions & { hint?: string }} [options]
 * @returns {string}
 * @throws {UserError} when it cannot be started or ends with another status than 0
 */
export function capture(program, args, { hint, ...options } = {}) {
  const result = spawnSync(program, args, { maxBuffer: 64 << 20, ...options, encoding: 'utf8' })
  if (result.error) throw cannotStart(program, result.error, hint)
  if (result.status !== 0) {
    throw failed(
      program,
      args,
      result.signal ?? result.status,
      `${result.stdout ?? ''}${result.stderr ?? ''}`,
      hint,
    )
  }
  return result.stdout ?? ''
}

/**
 * The same for a program that prints something else than text.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ input?: Buffer }} [options]
 * @returns {Buffer}
 */
export function captureBytes(program, args, options = {}) {
  const result = spawnSync(program, args, { maxBuffer: 512 << 20, ...options })
  if (result.error) throw cannotStart(program, result.error)
  if (result.status !== 0) throw failed(program, args, result.signal ?? result.status, String(result.stderr))
  return result.stdout
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 * @returns {boolean} whether it ended with status 0
 */
export function succeeds(program, args, options = {}) {
  return spawnSync(program, args, { stdio: 'ignore', ...options }).status === 0
}

/**
 * Runs a program to its end; each line it prints goes to `onLine` as it comes.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { hint?: string, onLine?: (line: string) => void }} [options]
 * @returns {Promise<string>} all it printed, stdout and stderr as they came
 * @throws {UserError} when it cannot be started or ends with another status than 0
 */
export function run(program, args, { hint, onLine = () => {}, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    let output = ''
    let partial = ''
    const take = (/** @type {Buffer} */ chunk) => {
      output += chunk
      const lines = (partial + chunk).split(/\r?\n|\r/)
      partial = lines.pop() ?? ''
      for (const line of lines) if (line.trim()) onLine(line)
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    child.on('error', (error) => reject(cannotStart(program, error, hint)))
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(failed(program, args, signal ?? code, output, hint))
    })
  })
}

/** @param {string} program @param {Error & { code?: string }} error @param {string} [hint] */
function cannotStart(program, error, hint) {
  const reason = error.code === 'ENOENT' ? 'no such program in PATH' : error.message
  return new UserError(`Cannot run "${program}": ${reason}`, { hint, cause: error })
}

/** @param {string} program @param {string[]} args @param {unknown} status @param {string} output @param {string} [hint] */
function failed(program, args, status, output, hint) {
  const how = typeof status === 'number' ? `status ${status}` : status
  return new UserError(`Command "${[program, ...args].join(' ')}" ended with ${how}`, {
    hint,
    output: output.trim(),
  })
}
