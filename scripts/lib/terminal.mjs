// What the scripts print: steps with their result and duration, notes, and errors that end a script.

import process from 'node:process'
import { UserError } from './command.mjs'

const colored = (process.stderr.isTTY || process.env.FORCE_COLOR) && !process.env.NO_COLOR
const live = process.stderr.isTTY && !process.env.CI

/** @param {number} code @returns {(text: string) => string} */
const style = (code) => (text) => (colored ? `\x1b[${code}m${text}\x1b[0m` : text)

export const bold = style(1)
export const dim = style(2)
export const red = style(31)
export const green = style(32)
export const yellow = style(33)

/** Prints one line. Progress goes to stderr, so that stdout stays free for what a program has to say. */
export function say(text = '') {
  process.stderr.write(`${text}\n`)
}

/** @param {string} text something worth knowing that is no step of its own */
export function note(text) {
  clearLive()
  say(dim(`  · ${text}`))
}

/**
 * Says what will be done, does it, then says how it went.
 *
 * @template T
 * @param {string} title what is going to be done
 * @param {(progress: (line: string) => void) => Promise<T>} work `progress` shows a passing line under the title
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = performance.now()
  say(`${bold('→')} ${title}`)
  try {
    const result = await work(showLive)
    clearLive()
    say(`${green('✓')} ${title} ${dim(seconds(started))}`)
    return result
  } catch (error) {
    clearLive()
    say(`${red('✗')} ${title} ${dim(seconds(started))}`)
    throw error
  }
}

/** @param {string} title what needs not be done again */
export function done(title) {
  say(`${green('✓')} ${title} ${dim('(there)')}`)
}

/** @param {number} since from performance.now() @returns {string} "1.2 s" */
export function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}

/** Runs a script's main function; a failure is explained and becomes status 1. @param {() => Promise<number | void>} main */
export async function runMain(main) {
  // Ended from outside, a script still cleans up: process.exit() runs the "exit" handlers, a bare signal does not.
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  // Should Node find nothing left to wait for before main() has ended, that is a failure, too.
  process.exitCode = 1
  try {
    process.exitCode = (await main()) ?? 0
  } catch (error) {
    explain(error)
    process.exitCode = 1
  }
}

/** @param {unknown} error */
function explain(error) {
  clearLive()
  if (!(error instanceof UserError)) {
    say(error instanceof Error ? error.stack : String(error))
    return
  }
  if (error.output) say(dim(lastLines(error.output, 40)))
  say(`${red('Error:')} ${error.message}`)
  if (error.hint) say(`${yellow('What to do:')} ${error.hint}`)
}

/** @param {string} text @param {number} count */
export function lastLines(text, count) {
  return text.trimEnd().split('\n').slice(-count).join('\n')
}

let liveShown = false

/** @param {string} line */
function showLive(line) {
  if (!live) return
  const width = Math.max(20, (process.stderr.columns ?? 80) - 5)
  process.stderr.write(`\r\x1b[K${dim(`  ${line.trim().slice(0, width)}`)}`)
  liveShown = true
}

function clearLive() {
  if (liveShown) process.stderr.write('\r\x1b[K')
  liveShown = false
}
