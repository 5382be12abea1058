// Which test files there are, and which of them were asked for.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { BUILT_TESTS } from '../build.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { sourceOf } from './run-file.mjs'

/** These run on this machine. */
export const HOST_SUITES = ['unit', 'protocol', 'interop', 'hard', 'fuzz', 'bench']
/** These need /dev/cuse, /dev/vtpmx and root, and run in the virtual machine, on each kernel. */
export const VM_SUITE = 'vm'

/** Other people's systems on our devices take minutes, and each is at home on one kernel: they run on the first. */
export const isSystem = (/** @type {string} */ file) => file.startsWith(`${path.join(VM_SUITE, 'systems')}/`)

/** The two devices, once each. */
export const SMOKE_TEST = path.join('test', VM_SUITE, 'smoke.test.ts')

/** @returns {string[]} all test files, "test/unit/….test.ts" */
function sources() {
  return readdirSync(path.join(projectRoot, 'test'), { recursive: true })
    .map((name) => path.join('test', String(name)))
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
}

/**
 * What paths on a command line select: files or folders, from the project's folder or the current one, or pieces of paths.
 * @param {string[]} words
 * @returns {{ filters: string[], unknown?: string }} `unknown`: a message for a word that selects nothing
 */
export function selection(words) {
  const all = sources()
  const filters = []
  for (const word of words) {
    const fromHere = path.relative(projectRoot, path.resolve(process.env.INIT_CWD ?? process.cwd(), word))
    const filter = [fromHere, path.normalize(word)]
      .map((place) => place.replace(/\/$/, ''))
      .find((place) => all.some((file) => file === place || file.startsWith(`${place}/`)))
    const chosen = filter ?? word
    if (!all.some((file) => file.includes(chosen))) return { filters, unknown: unknownText(word, all) }
    filters.push(chosen)
  }
  return { filters }
}

/** @param {string} word @param {string[]} all */
function unknownText(word, all) {
  const pieces = path
    .basename(word)
    .replace(/(\.test)?\.ts$/, '')
    .split(/[^a-z0-9]+/i)
    .filter((piece) => piece.length > 2)
  const near = all.filter((file) => pieces.some((piece) => file.includes(piece))).slice(0, 5)
  return `No test is called "${word}"${near.length > 0 ? `; near it are ${near.join(', ')}` : ''}`
}

/** Whether a suite has one of these, which may not have been bundled yet. @param {string} suite @param {string[]} filters */
export const mayHaveFiles = (suite, filters) =>
  sources().some((file) => file.startsWith(`test/${suite}/`) && matches(file, filters))

/** @param {string} file @param {string[]} filters */
const matches = (file, filters) => filters.length === 0 || filters.some((filter) => file.includes(filter))

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
    .filter((file) => matches(sourceOf(file), filters))
    .sort()
}
