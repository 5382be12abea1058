/** The engine's program: where it lies, its command line, and what it says of itself. */

import { spawnSync } from 'node:child_process'
import type { EngineOptionValues, TpmVersion } from '../../../contract/engine-options.ts'
import { SwtpmError } from '../../system/errors.ts'
import { installedFile } from '../../system/paths.ts'
import { reasonOf } from '../../system/reason.ts'
import type { EngineInfo } from './engine-info.ts'

/** What an engine is started with; keys follow over the channel, never as arguments. */
export interface EngineOptions extends EngineOptionValues {
  /** The state directory, or the file or block device of the linear backend, open for reading and writing. */
  readonly stateFd: number
}

/** What SWTPM_ENGINE names, or the one that belongs to this installation. */
export const enginePath = (): string =>
  process.env.SWTPM_ENGINE || installedFile('native/build/Release/tpm-engine', 'npm run build:native')

/** The engine needs nothing of our environment but the way to a libtpms outside the system's folders. */
export function engineEnvironment(): NodeJS.ProcessEnv {
  const path = process.env.LD_LIBRARY_PATH
  return path === undefined ? {} : { LD_LIBRARY_PATH: path }
}

/**
 * Asks an engine, without a TPM, what it and libtpms can do.
 * @param flags TPMLIB_GetInfo flags
 */
export function engineInfo(flags: number, tpmVersion: TpmVersion): EngineInfo {
  const path = enginePath()
  const result = spawnSync(path, ['--print-info', String(flags), '--tpm', tpmVersion], {
    encoding: 'utf8',
    env: engineEnvironment(),
  })
  if (result.status !== 0) {
    const why = result.error === undefined ? result.stderr.trim() : reasonOf(result.error)
    throw new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot ask "${path}" what it supports: ${why}`)
  }
  return JSON.parse(result.stdout) as EngineInfo
}
