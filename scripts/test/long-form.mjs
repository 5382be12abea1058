// Runs test files in their long form: what they are to do comes by the environment, and they are given the time.

import { ensureKernel, KERNEL_SERIES } from '../vm/kernel.mjs'
import { runFiles } from './run-files.mjs'
import { runVmSuite } from './vm-suite.mjs'

/** @param {string} series @throws Error saying that there is no such kernel */
export function checkKernel(series) {
  if (!KERNEL_SERIES.includes(series)) throw new Error(`Unknown kernel "${series}"`)
}

/**
 * @param {import('./report.mjs').Report} report
 * @param {{
 *   hostGroups: string[][],
 *   vmFiles: string[],
 *   series: string,
 *   env: Record<string, string>,
 *   running: import('./run-files.mjs').RunOptions,
 *   guest: Partial<import('../vm/machine.mjs').Job>,
 * }} work `hostGroups`: files of one folder each; `guest`: what else the machine is to be
 */
export async function runLongForm(report, { hostGroups, vmFiles, series, env, running, guest }) {
  Object.assign(process.env, env)
  for (const files of hostGroups) {
    await runFiles(files, running, (record) => report.take(record))
  }
  if (vmFiles.length === 0) return
  const kernel = await ensureKernel(series)
  const options = { ...running, guest: { env, ...guest } }
  await runVmSuite(kernel, vmFiles, options, (record) => report.take(record, `Linux ${series}`))
}
