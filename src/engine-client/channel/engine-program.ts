/** The engine's program: where it is, and what it is started with. */

import type { EngineOptionValues } from '../../../contract/engine-options.ts'
import { REMEDIES } from '../../system/missing-things.ts'
import { installedFile } from '../../system/paths.ts'

/** What an engine is started with; keys follow over the channel, never as arguments. */
export interface EngineOptions extends EngineOptionValues {
  /** The state directory, or the file or block device of the linear backend, open for reading and writing. */
  readonly stateFd: number
}

/** What SWTPM_ENGINE names, or the one that belongs to this installation. */
export const enginePath = (): string =>
  process.env.SWTPM_ENGINE || installedFile('native/build/Release/tpm-engine', REMEDIES.nativeLayer.command)

/** The engine needs nothing of our environment but the way to a libtpms outside the system's folders. */
export function engineEnvironment(): NodeJS.ProcessEnv {
  const path = process.env.LD_LIBRARY_PATH
  return path === undefined ? {} : { LD_LIBRARY_PATH: path }
}
