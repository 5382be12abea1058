// The figures that long tests report, one JSON object a line; see test/hard/support/scale.ts.

import { existsSync, readFileSync } from 'node:fs'

/** @typedef {{ what: string, result: string }} Figure */

/** @param {string} file @returns {Figure[]} none if no test has reported any */
export function readFigures(file) {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}
