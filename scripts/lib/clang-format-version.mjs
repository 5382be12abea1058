// Which clang-format decides about the format of the C++ sources: each version formats a little differently.

import { spawnSync } from 'node:child_process'

/** The one of Debian 12. */
const DECIDING = 14

/** @returns {string | undefined} why this machine cannot check the format, or nothing if it can */
export function whyFormatUnchecked() {
  const { stdout } = spawnSync('clang-format', ['--version'], { encoding: 'utf8' })
  const found = /version (\d+)/.exec(stdout ?? '')?.[1]
  if (Number(found) === DECIDING) return undefined
  return `the format of the C++ sources is what clang-format ${DECIDING} makes; this machine has ${found ? `version ${found}` : 'none'}`
}
