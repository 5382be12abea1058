// Virtual machines, for scripts.

import { projectRoot } from '../lib/paths.mjs'
import { withMachineRoom } from './load.mjs'

/** @typedef {Omit<import('../../src/machine/job.ts').Job, 'cwd'> & { cwd?: string }} Job */

/**
 * Boots a machine, runs the job in it and ends the machine.
 *
 * @param {Job} job `cwd`: the caller's unless another is given
 * @returns {Promise<number>} the command's exit status
 * @throws {import('../lib/command.mjs').UserError} when the machine does not come up, dies or exceeds the time
 */
export const runInGuest = (job) =>
  withMachineRoom((room) => room.runInGuest({ cwd: process.cwd(), keep: [projectRoot], ...job }))
