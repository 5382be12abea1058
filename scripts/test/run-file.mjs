// Runs one bundled test file in a process of its own and watches over it.

import { spawn } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { BUILT_TESTS } from '../build.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { lineSplitter } from './records.mjs'

const REPORTER = fileURLToPath(new URL('reporter.mjs', import.meta.url))
const OUTPUT_LIMIT = 20_000

/** @type {Set<number>} process groups to be ended with us */
const running = new Set()
process.on('exit', () => {
  for (const pid of running) endGroup(pid)
})

/**
 * @param {string} file below BUILT_TESTS
 * @param {{ grep?: string, silenceMs: number }} options `silenceMs`: how long no test may begin or end
 * @param {(record: import('./records.mjs').RunRecord) => void} emit
 * @returns {Promise<void>} fulfilled when the file has ended, however it did
 */
export function runFile(file, { grep, silenceMs }, emit) {
  const source = sourceOf(file)
  const started = performance.now()
  const child = spawn(
    process.execPath,
    [
      '--enable-source-maps',
      `--test-reporter=${REPORTER}`,
      ...(grep ? [`--test-name-pattern=${grep}`] : []),
      path.join(BUILT_TESTS, file),
    ],
    {
      cwd: projectRoot,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // A group of its own, so that what the tests left running can be ended together.
      detached: true,
    },
  )
  const pid = /** @type {number} */ (child.pid)
  running.add(pid)

  let output = ''
  let resultCount = 0
  let failureCount = 0
  /** @type {Map<string, string>} tests that have begun and not ended */
  const active = new Map()

  const test = (/** @type {Omit<import('./records.mjs').TestRecord, 'kind' | 'file'>} */ result) => {
    resultCount++
    if (result.outcome === 'failed') failureCount++
    emit({ kind: 'test', file: source, ...result })
  }
  const fileFailure = (/** @type {string} */ detail) =>
    test({ path: ['the file itself'], outcome: 'failed', durationMs: performance.now() - started, detail })

  const tooSilent = () => {
    const name = [...active.values()].at(-1) ?? 'the file itself'
    const detail = `ran longer than ${silenceMs / 1000} s; ended, and the rest of the file with it`
    test({ path: [name], outcome: 'failed', durationMs: silenceMs, detail })
    endGroup(pid)
  }
  let watchdog = setTimeout(tooSilent, silenceMs)

  const take = lineSplitter((line) => {
    clearTimeout(watchdog)
    watchdog = setTimeout(tooSilent, silenceMs)
    const { event, ...rest } = JSON.parse(line)
    if (event === 'begin') active.set(rest.key, rest.name)
    else if (event === 'end') active.delete(rest.key)
    else if (event === 'message') output += `${rest.text}\n`
    else test(rest)
  })
  const keep = (/** @type {Buffer} */ chunk) => {
    output = (output + chunk).slice(-OUTPUT_LIMIT)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  child.stdio[3]?.on('data', take)

  return new Promise((resolve) => {
    // "exit" and not "close": a daemon that a test left behind may hold the pipes open for ever.
    child.on('exit', (code, signal) => {
      setTimeout(() => {
        clearTimeout(watchdog)
        endGroup(pid)
        running.delete(pid)
        if (code !== 0 && failureCount === 0) fileFailure(`ended with ${signal ?? `status ${code}`}`)
        else if (resultCount === 0 && !grep) fileFailure('holds no test')
        emit({
          kind: 'file',
          file: source,
          durationMs: performance.now() - started,
          output: failureCount > 0 ? output : '',
        })
        resolve()
      }, 20)
    })
  })
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
    // Nobody is left in it.
  }
}
