/** Which configuration file a tool uses: the one that it is given, else the user's own, else the system's. */
import { lstatSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { homeDirectory } from '../../system/surroundings.ts'
import { ConfigFile, type ConfigOrigin } from './config-file.ts'
import { ToolFailure } from './tool-failure.ts'

export const SYSTEM_CONFIG_DIR = '/etc'

/** @returns undefined for a user without a home, as in a container or a service: they have no configuration */
export function userConfigDir(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const xdg = environment.XDG_CONFIG_HOME
  if (xdg !== undefined && isAbsolute(xdg)) return xdg
  const home = homeDirectory()
  return home === undefined || !isAbsolute(home) ? undefined : join(home, '.config')
}

/** The user's own file of this name, or undefined. */
export function ownConfigFile(name: string): string | undefined {
  const folder = userConfigDir()
  if (folder === undefined) return undefined
  const path = join(folder, name)
  return isThere(path) ? path : undefined
}

/** The system's file of this name, or undefined. */
export function systemConfigFile(name: string): string | undefined {
  const path = join(SYSTEM_CONFIG_DIR, name)
  return isThere(path) ? path : undefined
}

/**
 * A file that is there counts, and it is an error when it cannot be read.
 * @param given on the command line
 * @returns an empty one when there is none
 * @throws ToolFailure
 */
export function chooseConfigFile(name: string, given: string | undefined): ConfigFile {
  const places: readonly (readonly [ConfigOrigin, string | undefined])[] = [
    ['given', given],
    ['user', given ?? ownConfigFile(name)],
    ['system', systemConfigFile(name)],
  ]
  for (const [origin, path] of places) if (path !== undefined) return ConfigFile.read(path, origin)
  return new ConfigFile(join(SYSTEM_CONFIG_DIR, name), '', process.env, 'none')
}

const NOT_THERE = ['ENOENT', 'ENOTDIR', 'EACCES']

/** A link that leads nowhere is there; what lies in a folder that this user may not enter is not theirs. */
function isThere(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch (error) {
    if (NOT_THERE.includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw new ToolFailure(`Cannot look at "${path}": ${reasonOf(error)}`, { cause: error })
  }
}
