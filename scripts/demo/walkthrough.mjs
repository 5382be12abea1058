// Runs commands one after the other for someone who watches: shows each as they would type it, then what came of it.

import { spawn } from 'node:child_process'
import { UserError } from '../lib/command.mjs'
import { bold, dim, green, red, seconds } from '../lib/terminal.mjs'

const TIMEOUT_MS = 60_000

/** @typedef {{ heading?: string, command?: string, result?: string }} Shown a heading, or a command and what came of it */

export class Walkthrough {
  /** @param {{ cwd: string, env: Record<string, string | undefined> }} surroundings of all the commands */
  constructor({ cwd, env }) {
    this.cwd = cwd
    this.env = env
    /** What was shown, in order. @type {Shown[]} */
    this.shown = []
  }

  get stepCount() {
    return this.shown.filter(({ result }) => result !== undefined).length
  }

  /** @param {string} text */
  heading(text) {
    console.log(`\n${bold(text)}`)
    this.shown.push({ heading: text })
  }

  /** @param {string} name of an environment variable that is set for the commands that follow @param {string} value */
  set(name, value) {
    console.log(`  ${dim(`$ export ${name}=${value}`)}`)
    this.shown.push({ command: `export ${name}=${value}` })
    this.env = { ...this.env, [name]: value }
  }

  /**
   * Shows and runs a command, then checks it.
   *
   * @param {string} command a line for the shell
   * @param {(stdout: string) => string | Promise<string>} check tells in a few words what was achieved, or throws
   */
  async run(command, check) {
    await this.step(command, async () => check(await this.#shell(command)))
  }

  /**
   * Shows a command and does what it stands for.
   *
   * @param {string} command
   * @param {() => Promise<string>} work tells in a few words what was achieved, or throws
   */
  async step(command, work) {
    console.log(`  ${dim('$')} ${command}`)
    const started = performance.now()
    try {
      const result = await work()
      console.log(`    ${green('✓')} ${result} ${dim(`(${seconds(started)})`)}`)
      this.shown.push({ command, result })
    } catch (error) {
      console.log(`    ${red('✗')} ${dim(`(${seconds(started)})`)}`)
      throw error
    }
  }

  /** @param {string} command @returns {Promise<string>} what it printed on stdout */
  #shell(command) {
    const child = spawn('sh', ['-c', command], {
      cwd: this.cwd,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      // "exit", not "close": a command that leaves a daemon behind has ended when it returns.
      child.on('exit', (code, signal) => {
        if (code === 0) setImmediate(() => resolve(stdout))
        else {
          const how = signal
            ? `was ended by ${signal} after ${TIMEOUT_MS / 1000} s`
            : `ended with status ${code}`
          reject(new UserError(`Command "${command}" ${how}`, { output: `${stdout}${stderr}` }))
        }
      })
    })
  }
}

/**
 * @param {string} what is compared
 * @param {unknown} actual
 * @param {unknown} expected
 */
export function mustEqual(what, actual, expected) {
  if (actual !== expected) throw new UserError(`${what}: expected "${expected}", found "${actual}"`)
}
