// Runs one bundled test file in a process of its own and watches over it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { BUILT_TESTS } from '../build.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { lineSplitter } from './records.mjs'

const REPORTER = fileURLToPath(new URL('reporter.mjs', import.meta.url))
const OUTPUT_LIMIT = 20_000

/** Process groups to be ended with us. @type {Set<number>} */
const groups = new Set()
process.on('exit', () => groups.forEach(endGroup))

/**
 * @param {string} file below BUILT_TESTS
 * @param {{ grep?: string, silenceMs: number, env?: Record<string, string> }} options `silenceMs`: how long no test may begin or end
 * @param {(record: import('./records.mjs').RunRecord) => void} emit
 * @returns {Promise<void>} fulfilled when the file has ended, however it did
 */
export async function runFile(file, { grep, silenceMs, env }, emit) {
  const started = performance.now()
  const child = start(file, grep, env)
  const pid = /** @type {number} */ (child.pid)
  groups.add(pid)
  const log = new FileLog(sourceOf(file), emit)
  child.stdout?.on('data', (chunk) => log.print(chunk))
  child.stderr?.on('data', (chunk) => log.print(chunk))

  const tooSilent = () => {
    log.fail(
      log.running,
      silenceMs,
      `ran longer than ${silenceMs / 1000} s; the rest of the file was not run`,
    )
    endGroup(pid)
  }
  let watchdog = setTimeout(tooSilent, silenceMs)
  const events = /** @type {import('node:stream').Readable} */ (child.stdio[3])
  const take = lineSplitter((line) => {
    clearTimeout(watchdog)
    watchdog = setTimeout(tooSilent, silenceMs)
    log.take(JSON.parse(line))
  })
  events.on('data', take)

  // Not "close", which waits for stdout: a daemon that a test left behind may hold that open for ever.
  const [[status, signal]] = await Promise.all([
    once(child, 'exit'),
    Promise.race([once(events, 'close'), delay(60_000, undefined, { ref: false })]),
  ])
  clearTimeout(watchdog)
  endGroup(pid)
  groups.delete(pid)
  const durationMs = performance.now() - started
  if (status !== 0 && log.failures === 0)
    log.fail(log.running, durationMs, `ended with ${signal ?? `status ${status}`}`)
  else if (log.results === 0 && !grep) log.fail(WHOLE_FILE, durationMs, 'holds no test')
  log.close(durationMs)
}

const WHOLE_FILE = 'the file itself'

/** @param {string} file @param {string} [grep] @param {Record<string, string>} [env] */
function start(file, grep, env) {
  const options = ['--enable-source-maps', `--test-reporter=${REPORTER}`]
  if (grep) options.push(`--test-name-pattern=${grep}`)
  return spawn(process.execPath, [...options, path.join(BUILT_TESTS, file)], {
    cwd: projectRoot,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // A group of its own, so that what the tests left running can be ended together.
    detached: true,
  })
}

/** What is known about a running file; makes records out of what its reporter tells. */
class FileLog {
  /** @param {string} source @param {(record: import('./records.mjs').RunRecord) => void} emit */
  constructor(source, emit) {
    this.source = source
    this.emit = emit
    this.output = ''
    this.results = 0
    this.failures = 0
    /** Tests that have begun and not ended, the innermost last. @type {Map<string, string>} */
    this.active = new Map()
  }

  /** The name of the test that is running. */
  get running() {
    return [...this.active.values()].at(-1) ?? WHOLE_FILE
  }

  /** @param {import('./reporter.mjs').ReporterEvent} message */
  take(message) {
    if (message.event === 'begin') this.active.set(message.key, message.name)
    else if (message.event === 'end') this.active.delete(message.key)
    else if (message.event === 'message') this.print(`${message.text}\n`)
    else this.#add(message.result)
  }

  /** @param {Buffer | string} text */
  print(text) {
    this.output = (this.output + text).slice(-OUTPUT_LIMIT)
  }

  /** @param {string} name @param {number} durationMs @param {string} detail */
  fail(name, durationMs, detail) {
    this.#add({ path: [name], outcome: 'failed', durationMs, detail })
  }

  /** @param {number} durationMs */
  close(durationMs) {
    this.emit({ kind: 'file', file: this.source, durationMs, output: this.failures > 0 ? this.output : '' })
  }

  /** @param {import('./records.mjs').TestResult} result */
  #add(result) {
    this.results++
    if (result.outcome === 'failed') this.failures++
    this.emit({ kind: 'test', file: this.source, ...result })
  }
}

/** @param {string} file below BUILT_TESTS @returns {string} "test/unit/….test.ts" */
export function sourceOf(file) {
  return path.join('test', file.replace(/\.js$/, '.ts'))
}

/** @param {number} pid */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has no process any more.
  }
}
