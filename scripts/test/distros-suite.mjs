// Builds and tests the project on another distribution, as a test file of its own with one test for each step.

import { describeRoot, ensureRoot, whyNoRoots } from '../distros/root.mjs'
import { stepsWith } from '../distros/steps.mjs'
import { Visit } from '../distros/visit.mjs'
import { UserError } from '../lib/command.mjs'
import { lastLines } from '../lib/terminal.mjs'

const FILE = 'scripts/distros'
/** A machine that has other work, too, may take long to compile. */
const STEP_TIMEOUT_MS = 30 * 60_000
const OUTPUT_LINES = 100

/**
 * @param {import('../distros/distros.mjs').Distro} distro
 * @param {string} tests arguments of `npm test` there
 * @param {(record: import('./records.mjs').RunRecord) => void} emit
 */
export async function runOnDistro(distro, tests, emit) {
  const started = performance.now()
  const test = new Steps(emit)
  const reason = whyNoRoots()
  if (reason) test.skip(`build and test on Debian ${distro.suite}`, reason)
  else await buildAndTest(distro, tests, test)
  emit({ kind: 'file', file: FILE, durationMs: performance.now() - started, output: '' })
}

/** @param {import('../distros/distros.mjs').Distro} distro @param {string} tests @param {Steps} test */
async function buildAndTest(distro, tests, test) {
  const root = await test.run('the root is made', () => ensureRoot(distro))
  if (root === undefined) return
  const visit = await test.run(describeRoot(root), () => Visit.begin(root))
  if (visit === undefined) return
  try {
    for (const { title, line, online } of stepsWith(distro.suite, tests)) {
      const done = await test.run(title, async () => {
        const { status, output } = await visit.run(line, { online, timeoutMs: STEP_TIMEOUT_MS })
        if (status === 0) return true
        throw new UserError(`Command "${line}" ended with ${status}`, { output })
      })
      if (!done) return
    }
  } finally {
    await visit.end()
  }
}

/** Turns steps, each of which needs those before it, into tests. */
class Steps {
  /** @param {(record: import('./records.mjs').RunRecord) => void} emit */
  constructor(emit) {
    this.emit = emit
  }

  /**
   * @template T
   * @param {string} title
   * @param {() => Promise<T>} work
   * @returns {Promise<T | undefined>} nothing if it failed
   */
  async run(title, work) {
    const started = performance.now()
    try {
      const result = await work()
      this.#end(title, 'passed', started)
      return result
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      const output = lastLines(error.output ?? '', OUTPUT_LINES)
      const detail = [error.message, output, error.hint].filter(Boolean).join('\n')
      this.#end(title, 'failed', started, detail)
      return undefined
    }
  }

  /** @param {string} title @param {string} reason */
  skip(title, reason) {
    this.#end(title, 'skipped', performance.now(), reason)
  }

  /**
   * @param {string} title
   * @param {import('./records.mjs').TestResult['outcome']} outcome
   * @param {number} started
   * @param {string} [detail]
   */
  #end(title, outcome, started, detail) {
    const durationMs = performance.now() - started
    this.emit({ kind: 'test', file: FILE, path: [title], outcome, durationMs, ...(detail ? { detail } : {}) })
  }
}
