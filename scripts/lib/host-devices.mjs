// Whether the running kernel itself can make TPM devices.

import { existsSync } from 'node:fs'
import { succeeds } from './command.mjs'

const DEVICES = [
  { node: '/dev/vtpmx', module: 'tpm_vtpm_proxy' },
  { node: '/dev/cuse', module: 'cuse' },
]

/**
 * Looks for the devices, and loads their kernel modules where that is possible.
 *
 * @returns {string | undefined} why this kernel cannot be used, or nothing if it can
 */
export function whyNotHere() {
  if (process.getuid?.() !== 0) return 'making devices on this kernel takes root'
  for (const { node, module } of DEVICES) {
    if (existsSync(node)) continue
    succeeds('modprobe', [module])
    if (!existsSync(node)) return `this kernel has no ${node}`
  }
  return undefined
}
