/** The kernels that a machine can boot. */

import { MachineFault } from '../machine-fault.ts'
import type { Progress } from './apt.ts'
import { ensureKernel, isSeries, KERNEL_SERIES } from './debian.ts'
import { givenKernel } from './given.ts'
import type { Kernel } from './kernel.ts'

/**
 * @param name Debian's by its series, or a path
 * @param modules where the modules of a kernel by path are
 * @throws MachineFault
 */
export async function findKernel(
  name: string,
  modules: string | undefined,
  onProgress: Progress,
): Promise<Kernel> {
  if (!isSeries(name)) return givenKernel(name, modules)
  if (modules !== undefined)
    throw new MachineFault(`--modules is for a kernel by path: Debian's ${name} brings its own`)
  if (KERNEL_SERIES.includes(name)) return ensureKernel(name, onProgress)
  throw new MachineFault(`Unknown kernel "${name}": Debian's are ${KERNEL_SERIES.join(' and ')} here`, {
    hint: 'Name any other by its path: a bzImage with --modules DIR, or a build tree',
  })
}
