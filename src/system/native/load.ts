/** Finds and loads the native addon. */
import { installedFile } from '../paths.ts'
import type { Native } from './types.ts'

/**
 * Where the addon is: the path in the environment variable SWTPM_NATIVE, or native/build/Release/swtpm_native.node in
 * the nearest folder above the running script.
 * @throws Error naming the places tried and the command that builds it
 */
export function nativeAddonPath(): string {
  const chosen = process.env.SWTPM_NATIVE
  if (chosen !== undefined && chosen !== '') return chosen
  return installedFile('native/build/Release/swtpm_native.node', 'npm run build:native')
}

function load(): Native {
  const path = nativeAddonPath()
  try {
    return require(path) as Native
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0]
    throw new Error(`Cannot load "${path}": ${reason}; run \`npm run build:native\``, { cause: error })
  }
}

/** The addon, loaded once per thread. */
export const native: Native = load()
