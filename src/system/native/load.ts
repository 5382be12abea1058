/** Finds and loads the native addon. */

import { SwtpmError } from '../errors.ts'
import { REMEDIES } from '../missing-things.ts'
import { installedFile, wayOut } from '../paths.ts'
import { loadReason } from './load-reason.ts'
import type { Native } from './types.ts'

/**
 * Where the addon is: the path in the environment variable SWTPM_NATIVE, or native/build/Release/swtpm_native.node in
 * the nearest folder above the running script.
 * @throws SwtpmError SWTPM_ERR_INSTALLATION naming the places tried and the command that builds it
 */
export function nativeAddonPath(): string {
  const chosen = process.env.SWTPM_NATIVE
  if (chosen !== undefined && chosen !== '') return chosen
  return installedFile('native/build/Release/swtpm_native.node', REMEDIES.nativeLayer.command)
}

/** @throws SwtpmError SWTPM_ERR_INSTALLATION */
function load(): Native {
  const path = nativeAddonPath()
  try {
    return require(path) as Native
  } catch (error) {
    throw new SwtpmError(
      'SWTPM_ERR_INSTALLATION',
      `Cannot load "${path}": ${loadReason(error)}; ${wayOut(REMEDIES.nativeLayer.command)}`,
      { cause: error },
    )
  }
}

let loaded: Native | undefined

/**
 * The addon, loaded once per thread, when it is first used: by then there is a log that can say why it could not be loaded.
 * Use it once before a change of root directory, user or rights.
 */
export const native: Native = new Proxy({} as Native, {
  get(_, name: keyof Native) {
    loaded ??= load()
    return loaded[name]
  },
})
