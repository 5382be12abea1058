// Prints how a test run goes, and at its end what failed, what was skipped and the sum.

import { bold, dim, green, red, yellow } from '../lib/terminal.mjs'

const DETAIL_LINES = 60

/** @typedef {import('./records.mjs').TestRecord & { where: string }} Entry `where`: after its name, such as "on Linux 6.1, asleep" */

export class Report {
  /** @param {{ verbose: boolean }} options `verbose`: a line for each test, not only for each file */
  constructor({ verbose }) {
    this.verbose = verbose
    /** @type {Entry[]} */
    this.entries = []
    /** @type {Map<string, string>} what files with failures printed */
    this.outputs = new Map()
  }

  /**
   * @param {import('./records.mjs').RunRecord} record
   * @param {string} [where] on which machine and in which form, where there are others
   */
  take(record, where = '') {
    if (record.kind === 'test') {
      this.entries.push({ ...record, where })
      if (this.verbose || record.file === 'checks') console.log(`    ${testLine(record)}`)
      return
    }
    if (record.output) this.outputs.set(placed(record.file, where), record.output)
    if (record.file !== 'checks') this.#fileLine(record, where)
  }

  /** @param {import('./records.mjs').FileRecord} record @param {string} where */
  #fileLine({ file, durationMs }, where) {
    const own = this.entries.filter((entry) => entry.where === where && entry.file === file)
    if (own.length === 0) return
    const { failed, skipped } = count(own)
    const mark = failed > 0 ? red('✗') : skipped === own.length ? yellow('-') : green('✓')
    console.log(
      `  ${mark} ${placed(file, where)} ${dim(`${sum(own)} (${(durationMs / 1000).toFixed(1)} s)`)}`,
    )
    if (this.verbose) return
    for (const entry of own) if (entry.outcome !== 'passed') console.log(`      ${testLine(entry)}`)
  }

  /** Prints the details and the closing line. @returns {boolean} whether all is well */
  close() {
    const failures = this.entries.filter(({ outcome }) => outcome === 'failed')
    if (failures.length > 0) console.log(`\n${bold(red('Failures'))}`)
    failures.forEach((entry, index) => {
      const name = bold(entry.path.join(' › '))
      console.log(`\n${index + 1}. ${placed(entry.file, entry.where)} · ${name}`)
      console.log(indent(shortened(entry.detail ?? ''), '   '))
    })
    for (const [file, output] of this.outputs) {
      console.log(`\n${bold(`Printed by ${file}`)}\n${dim(indent(output.trimEnd(), '   '))}`)
    }
    this.#skips()
    console.log(`\n${sum(this.entries)}`)
    return failures.length === 0
  }

  #skips() {
    /** @type {Map<string, number>} */
    const reasons = new Map()
    for (const { outcome, detail = '' } of this.entries) {
      if (outcome === 'skipped') reasons.set(detail, (reasons.get(detail) ?? 0) + 1)
    }
    if (reasons.size > 0) console.log(`\n${bold(yellow('Skipped'))}`)
    for (const [reason, times] of reasons) console.log(`  ${times} × ${reason}`)
  }
}

/** @param {string} file @param {string} where @returns {string} "test/vm/cuse.test.ts on Linux 6.1, awake" */
const placed = (file, where) => (where ? `${file} ${where}` : file)

/** @param {Entry[]} entries */
function count(entries) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const { outcome } of entries) counts[outcome]++
  return counts
}

/** @param {Entry[]} entries @returns {string} "3 passed, 0 failed, 1 skipped" */
function sum(entries) {
  const { passed, failed, skipped } = count(entries)
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/** @param {import('./records.mjs').TestRecord} record */
function testLine({ path, outcome, durationMs, detail }) {
  const name = path.join(' › ')
  if (outcome === 'skipped') return `${yellow('-')} ${name} ${dim(`skipped: ${detail}`)}`
  const mark = outcome === 'passed' ? green('✓') : red('✗')
  return `${mark} ${name} ${dim(`(${(durationMs / 1000).toFixed(2)} s)`)}`
}

/** @param {string} text @returns {string} its beginning and end, where it would fill screens */
function shortened(text) {
  const lines = text.split('\n')
  if (lines.length <= DETAIL_LINES) return text
  const half = DETAIL_LINES / 2
  return [...lines.slice(0, half), `… ${lines.length - DETAIL_LINES} lines …`, ...lines.slice(-half)].join(
    '\n',
  )
}

/** @param {string} text @param {string} by */
function indent(text, by) {
  return text.replace(/^/gm, by)
}
