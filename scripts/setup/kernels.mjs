// Set-up step: kernels for the virtual machine.

import { ensureKernel, isKernelAtHand } from '../vm/kernel.mjs'

/** @param {string} series "6.1" @returns {import('./steps.mjs').SetupStep} */
export function kernel(series) {
  return {
    title: `Debian's kernel ${series}`,
    isDone: () => isKernelAtHand(series),
    announce: () => `Fetch Debian's kernel ${series} for the virtual machine (it is not installed)`,
    run: (progress) => ensureKernel(series, progress),
  }
}
