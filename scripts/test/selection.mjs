// Which test files the words of a command line mean: a path of a file or folder, or a part of a path.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { sourceOf } from './run-file.mjs'
import { filesOf, HOST_SUITES, VM_SUITE } from './suites.mjs'

const MOST_SUGGESTIONS = 5

/**
 * @param {string[]} words none means all files
 * @returns {(source: string) => boolean} takes "test/unit/….test.ts"
 * @throws {UserError} for a word that selects no test; it names the files and folders with similar names
 */
export function matcherOf(words) {
  const sources = [...HOST_SUITES, VM_SUITE].flatMap((suite) => filesOf(suite)).map(sourceOf)
  const matchers = words.map((word) => {
    const matches = wordMatcher(word)
    if (!sources.some(matches)) throw unknown(word, sources)
    return matches
  })
  return (source) => matchers.length === 0 || matchers.some((matches) => matches(source))
}

/** @param {string} word @returns {(source: string) => boolean} */
function wordMatcher(word) {
  const own = pathInProject(word)
  if (own === undefined) return (source) => source.includes(word)
  return (source) => source === own || source.startsWith(`${own}/`)
}

/**
 * npm changes to the project's folder; INIT_CWD is where the user is.
 *
 * @param {string} word
 * @returns {string | undefined} "test/…", if there is such a file or folder
 */
function pathInProject(word) {
  for (const base of [process.env.INIT_CWD ?? process.cwd(), projectRoot]) {
    const file = path.resolve(base, word)
    const own = path.relative(projectRoot, file)
    if ((own === 'test' || own.startsWith('test/')) && existsSync(file)) return own
  }
  return undefined
}

/** @param {string} word @param {string[]} sources */
function unknown(word, sources) {
  const folders = new Set(sources.flatMap(foldersOf))
  const near = [...sources, ...folders]
    .map((candidate) => ({ candidate, distance: distance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MOST_SUGGESTIONS)
  return new UserError(`No test file "${word}"`, {
    hint: `Name a part, a path or a part of a path. Similar are:\n  ${near.map(({ candidate }) => candidate).join('\n  ')}`,
  })
}

/** @param {string} source "test/unit/tpm/x.test.ts" @returns {string[]} "test/unit/tpm/", "test/unit/" */
function foldersOf(source) {
  const folder = path.dirname(source)
  return folder === 'test' ? [] : [`${folder}/`, ...foldersOf(folder)]
}

/** By how many letters the names differ, or the whole paths. @param {string} word @param {string} candidate */
function distance(word, candidate) {
  const names = [word, candidate].map((file) => path.basename(file).replace(/(\.test)?\.ts$/, ''))
  return Math.min(
    editDistance(word, candidate),
    editDistance(/** @type {string} */ (names[0]), /** @type {string} */ (names[1])),
  )
}

/** Levenshtein's. @param {string} a @param {string} b */
function editDistance(a, b) {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1]
    for (let column = 0; column < b.length; column++) {
      const replaced = Number(above[column]) + (b[column] === letter ? 0 : 1)
      current.push(Math.min(replaced, Number(above[column + 1]) + 1, Number(current[column]) + 1))
    }
    above = current
  }
  return Number(above[b.length])
}
