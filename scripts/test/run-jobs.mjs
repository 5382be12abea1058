// Runs jobs, several at a time; what they report comes file by file.

/** @typedef {import('./records.mjs').RunRecord} RunRecord */

/**
 * @typedef {object} Job one test file, or several one after another
 * @property {string} [where] on which machine and in which form it runs, where there are others
 * @property {(emit: (record: RunRecord) => void) => Promise<void>} run
 */

/**
 * @param {Job[]} jobs started in this order
 * @param {number} slots how many run at a time
 * @param {(record: RunRecord, where?: string) => void} take
 */
export async function runJobs(jobs, slots, take) {
  const waiting = [...jobs]
  const worker = async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      const { where, run } = job
      const byFile = slots === 1 ? undefined : new FileByFile()
      await run((record) => {
        for (const each of byFile?.add(record) ?? [record]) take(each, where)
      })
      for (const each of byFile?.rest() ?? []) take(each, where)
    }
  }
  await Promise.all(Array.from({ length: slots }, worker))
}

/** Keeps the records of a file until the file has ended, so that those of two files do not mix. */
class FileByFile {
  /** @type {RunRecord[]} */
  #kept = []

  /** @param {RunRecord} record @returns {RunRecord[]} what can be reported now */
  add(record) {
    this.#kept.push(record)
    return record.kind === 'file' ? this.rest() : []
  }

  /** @returns {RunRecord[]} what nothing was reported of */
  rest() {
    return this.#kept.splice(0)
  }
}
