// Runs the VM tests: boots a kernel, has the files run inside, passes on what comes out.

import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { note } from '../lib/terminal.mjs'
import { runInGuest } from '../vm/machine.mjs'
import { lineSplitter } from './records.mjs'

const RUNNER = fileURLToPath(new URL('in-guest.mjs', import.meta.url))
const TIMEOUT_MS = 30 * 60_000

/**
 * @param {import('../vm/kernel.mjs').Kernel} kernel
 * @param {string[]} files below build/test
 * @param {import('./run-files.mjs').RunOptions & { guest?: Partial<import('../vm/machine.mjs').Job> }} options
 *   `guest`: what else the machine is to be
 * @param {(record: import('./records.mjs').RunRecord) => void} emit
 */
export async function runVmSuite(kernel, files, { guest, ...options }, emit) {
  const take = lineSplitter((line) => {
    if (line.startsWith('{')) emit(JSON.parse(line))
    else if (line.trim()) note(line)
  })
  const sink = () =>
    new Writable({
      write: (chunk, _encoding, written) => {
        take(chunk)
        written()
      },
    })
  const started = performance.now()
  try {
    const status = await runInGuest({
      kernel,
      command: [process.execPath, RUNNER, JSON.stringify({ files, options })],
      cwd: projectRoot,
      timeoutMs: TIMEOUT_MS,
      // With two, one wakes the other so often that both together get less done, and take the processor from what else runs.
      cpus: 1,
      ...guest,
      stdout: sink(),
      onUp: (bootMs) => note(`Linux ${kernel.release} is up after ${(bootMs / 1000).toFixed(1)} s`),
    })
    if (status !== 0)
      throw new UserError(`The test runner inside the virtual machine ended with status ${status}`)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const detail = [error.message, error.output].filter(Boolean).join('\n')
    const durationMs = performance.now() - started
    emit({
      kind: 'test',
      file: 'test/vm',
      path: ['the virtual machine'],
      outcome: 'failed',
      durationMs,
      detail,
    })
  }
}
