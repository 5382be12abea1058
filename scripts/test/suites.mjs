// Which test files there are, and which of them were asked for.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { projectRoot } from '../lib/paths.mjs'

/** The one that needs the programs of native/bench. */
const BENCH_SUITE = 'bench'
/** These run on this machine. */
export const HOST_SUITES = ['unit', 'protocol', 'interop', 'hard', 'fuzz', 'ktest', BENCH_SUITE]
/** These need few packages. */
const SMALL_SUITES = ['unit', 'protocol', 'fuzz']
/** These need /dev/cuse, /dev/vtpmx and root, and run in the virtual machine, on each kernel. */
export const VM_SUITE = 'vm'

/** The build and the tests that depend on the system, on other distributions. */
export const DISTROS_SUITE = 'distros'

/** Systems of others on our devices, our units, the client tools: they take minutes and do not depend on the kernel, so they run on the first. */
export const isSystem = (/** @type {string} */ file) => file.startsWith(`${path.join(VM_SUITE, 'systems')}/`)

/** Those that meet a time limit of another program have a machine with a slow clock, on the first kernel. */
export const isSlowClock = (/** @type {string} */ file) =>
  file.startsWith(`${path.join(VM_SUITE, 'slow-clock')}/`)

/** The two devices, once each: a bundled file, relative to build/test. */
export const SMOKE_TEST = path.join(VM_SUITE, 'smoke.test.js')

/** @param {string[]} suites @returns {import('../setup/packages.mjs').Need[]} what has to be set up for them */
export function needsOf(suites) {
  return [
    'quick',
    ...(suites.every((suite) => SMALL_SUITES.includes(suite)) ? [] : /** @type {const} */ (['test', 'vm'])),
    ...(suites.includes(BENCH_SUITE) ? /** @type {const} */ (['bench']) : []),
  ]
}

/**
 * @param {string} suite
 * @param {(source: string) => boolean} [matches] takes "test/unit/….test.ts"; all files without
 * @returns {string[]} bundled test files, relative to build/test
 */
export function filesOf(suite, matches = () => true) {
  // By the sources: bundles of files that are gone must not run.
  const directory = path.join(projectRoot, 'test', suite)
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true })
    .map((name) => path.join(suite, String(name)))
    .filter((file) => file.endsWith('.test.ts') && matches(path.join('test', file)))
    .map((file) => file.replace(/\.ts$/, '.js'))
    .sort()
}
