// What is told about a test run: in one process from function to function, between processes one JSON object a line.

/**
 * @typedef {object} TestResult how one test ended
 * @property {string[]} path names of its suites, then its own
 * @property {'passed' | 'failed' | 'skipped'} outcome
 * @property {number} durationMs
 * @property {string} [detail] why it failed or was skipped
 *
 * @typedef {TestResult & { kind: 'test', file: string }} TestRecord `file`: its source, relative to the project
 *
 * @typedef {object} FileRecord a file has been run to its end
 * @property {'file'} kind
 * @property {string} file
 * @property {number} durationMs
 * @property {string} output what the file printed, if any of its tests failed
 *
 * @typedef {TestRecord | FileRecord} RunRecord
 */

/**
 * Cuts a stream of text into lines.
 *
 * @param {(line: string) => void} onLine
 * @returns {(chunk: Buffer | string) => void} to be given the text as it comes
 */
export function lineSplitter(onLine) {
  let partial = ''
  return (chunk) => {
    const lines = (partial + chunk).split('\n')
    partial = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
}
