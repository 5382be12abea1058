// Runs test files, several at a time; what they report comes file by file.

import { runFile } from './run-file.mjs'

/**
 * @typedef {object} RunOptions
 * @property {number} concurrency how many files at a time
 * @property {number} silenceMs how long no test of a file may begin or end
 * @property {string} [grep] only tests whose name matches
 */

/**
 * @param {string[]} files below build/test
 * @param {RunOptions} options
 * @param {(record: import('./records.mjs').RunRecord) => void} emit
 */
export async function runFiles(files, { concurrency, ...options }, emit) {
  const waiting = [...files]
  const worker = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      /** @type {import('./records.mjs').RunRecord[]} */
      const records = []
      await runFile(file, options, concurrency === 1 ? emit : (record) => records.push(record))
      records.forEach(emit)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}
