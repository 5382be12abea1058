// Runs test files, several at a time.

import { runFile } from './run-file.mjs'
import { runJobs } from './run-jobs.mjs'

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
  const jobs = files.map((file) => ({
    run: (/** @type {typeof emit} */ take) => runFile(file, options, take),
  }))
  await runJobs(jobs, concurrency, emit)
}
