// Which test files there are, and which of them were asked for.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { BUILT_TESTS } from '../build.mjs'
import { sourceOf } from './run-file.mjs'

/** These run on this machine. */
export const HOST_SUITES = ['unit', 'protocol', 'interop', 'hard', 'fuzz', 'bench']
/** These need /dev/cuse, /dev/vtpmx and root, and run in the virtual machine, on each kernel. */
export const VM_SUITE = 'vm'

/** Other people's systems on our devices take minutes, and each is at home on one kernel: they run on the first. */
export const isSystem = (/** @type {string} */ file) => file.startsWith(`${path.join(VM_SUITE, 'systems')}/`)

/**
 * @param {string} suite
 * @param {string[]} filters parts of source paths; none means all files
 * @returns {string[]} bundled test files, relative to build/test
 */
export function filesOf(suite, filters) {
  const directory = path.join(BUILT_TESTS, suite)
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true })
    .map((name) => path.join(suite, String(name)))
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => filters.length === 0 || filters.some((filter) => sourceOf(file).includes(filter)))
    .sort()
}
