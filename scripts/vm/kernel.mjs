// Debian's stock kernels, for scripts.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { projectRoot } from '../lib/paths.mjs'
import { note } from '../lib/terminal.mjs'
import { withMachineRoom } from './load.mjs'

/** @typedef {import('../../src/machine/kernel/kernel.ts').Kernel} Kernel */

/** @type {string[]} The kernels that are tested. */
export const KERNEL_SERIES = Object.keys(
  JSON.parse(readFileSync(path.join(projectRoot, 'src/machine/kernel/series.json'), 'utf8')),
)

/** @returns {Promise<string[]>} of the kernels that are tested those that the archive has; or else the archive's own */
export const availableSeries = () => withMachineRoom((room) => room.availableSeries(note))

/**
 * Makes a kernel available in the cache and returns where it is.
 *
 * @param {string} series "6.1"
 * @param {(line: string) => void} [onProgress]
 * @returns {Promise<Kernel>}
 */
export const ensureKernel = (series, onProgress) =>
  withMachineRoom((room) => room.ensureKernel(series, onProgress))

/** @param {string} series @returns {Promise<boolean>} whether ensureKernel() has nothing to download */
export const isKernelAtHand = (series) => withMachineRoom((room) => room.isKernelAtHand(series))
