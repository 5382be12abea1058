// The reporter that node:test loads in the process of a test file: passes on what run-file.mjs needs, as JSON lines
// on descriptor 3. Written synchronously, so that nothing is lost when the process dies.

import { writeSync } from 'node:fs'
import { inspect } from 'node:util'

/**
 * @typedef {{ event: 'begin', key: string, name: string }
 *   | { event: 'end', key: string, name: string }
 *   | { event: 'result', result: import('./records.mjs').TestResult }
 *   | { event: 'message', text: string }} ReporterEvent
 */

/** @param {ReporterEvent} event */
const tell = (event) => writeSync(3, `${JSON.stringify(event)}\n`)

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* reporter(source) {
  /** @type {string[]} names of the test and the suites around it */
  const path = []
  for await (const { type, data } of source) {
    if (type === 'test:dequeue') tell({ event: 'begin', key: key(data), name: data.name })
    else if (type === 'test:complete') tell({ event: 'end', key: key(data), name: data.name })
    else if (type === 'test:start') path.splice(data.nesting, Infinity, data.name)
    else if (type === 'test:pass' || type === 'test:fail') {
      const outcome = outcomeOf(type, data)
      if (outcome) tell({ event: 'result', result: { path: path.slice(0, data.nesting + 1), ...outcome } })
    } else if (type === 'test:diagnostic' && /error|warning/i.test(data.message)) {
      tell({ event: 'message', text: data.message })
    }
  }
  yield ''
}

/** @param {{ nesting: number, line: number, column: number, name: string }} data */
const key = ({ nesting, line, column, name }) => [nesting, line, column, name].join(' ')

/**
 * @param {string} type
 * @param {any} data
 * @returns {Omit<import('./records.mjs').TestResult, 'path'> | undefined} nothing for what only sums up the tests inside it
 */
function outcomeOf(type, { skip, todo, details }) {
  const durationMs = details.duration_ms
  const isSuite = details.type === 'suite'
  if (skip === 'test name does not match pattern') return undefined
  if (skip !== undefined)
    return { outcome: 'skipped', durationMs, detail: skip === true ? 'no reason given' : skip }
  if (type === 'test:pass') return isSuite ? undefined : { outcome: 'passed', durationMs }
  if (todo !== undefined) return { outcome: 'skipped', durationMs, detail: `to do: ${todo}` }
  const { failureType, cause, message } = details.error
  if (failureType === 'subtestsFailed') return undefined
  return {
    outcome: 'failed',
    durationMs,
    detail: cause instanceof Error ? inspect(cause) : String(cause ?? message),
  }
}
