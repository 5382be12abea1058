/** Profiles of a TPM 2: from the command line, from files of the user or the distribution, or built into libtpms. */
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { canRead } from '../common/access.ts'
import type { ConfigFile } from '../common/config-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'
import type { TpmFeatures } from './tpm-features.ts'

const DISTRO_PROFILES_DIR = '/usr/share/swtpm/profiles'

/** JSON to pass on the command line, or a descriptor to read it from. */
export type Profile = { readonly json: string } | { readonly fd: number }

const localDir = (config: ConfigFile): string | undefined => config.value('local_profiles_dir')

/** @throws ToolFailure when the name is malformed or names no profile */
export function profileByName(name: string, config: ConfigFile): Profile {
  // No slash: a name must not lead out of the profile directories.
  if (!/^[A-Za-z0-9.\-:]+$/.test(name)) {
    throw new ToolFailure(`Profile name '${name}' contains unacceptable characters.`)
  }
  const [, place, bare = name] = /^(local|distro|builtin):(.*)$/.exec(name) ?? []
  const local = localDir(config)
  const folders = {
    local: local === undefined ? [] : [local],
    distro: [DISTRO_PROFILES_DIR],
  }
  const searched =
    place === undefined
      ? [...folders.local, ...folders.distro]
      : place === 'builtin'
        ? []
        : folders[place as 'local' | 'distro']
  const file = searched.map((folder) => join(folder, `${bare}.json`)).find(canRead)
  if (file !== undefined) return profileFromFile(file)
  if (place === 'local' || place === 'distro') {
    const where = searched.length === 0 ? 'no local_profiles_dir is configured' : searched.join(', ')
    throw new ToolFailure(
      `Could not find or access profile '${name}' (${where}); --print-profiles lists all.`,
    )
  }
  return { json: JSON.stringify({ Name: bare }) }
}

export function profileFromFile(path: string): Profile {
  try {
    return { fd: openSync(path, 'r') }
  } catch (error) {
    throw new ToolFailure(`Could not open profile file '${path}': ${reasonOf(error)}`, { cause: error })
  }
}

/** @throws ToolFailure when the TPM knows no profile of that name */
export function checkProfile(json: string, features: TpmFeatures): void {
  let name: unknown
  try {
    name = (JSON.parse(json) as { Name?: unknown }).Name
  } catch (error) {
    throw new ToolFailure(`Profile '${json}' is no JSON: ${reasonOf(error)}`, { cause: error })
  }
  if (typeof name !== 'string') throw new ToolFailure(`Failed to get 'Name' from profile '${json}'.`)
  if (name.length > 32) throw new ToolFailure('Profile name must not exceed 32 characters.')
  if (!name.startsWith('custom:') && !features.profiles.includes(name)) {
    throw new ToolFailure(
      `swtpm does not support a profile with name '${name}'; it has ${features.profiles.join(', ') || 'none'}`,
    )
  }
}

/** All profiles by where they are, as one line of JSON; those of files under the name that loads them. */
export function allProfiles(command: TpmCommandLine, features: TpmFeatures, config: ConfigFile): string {
  const local = localDir(config)
  const result: Record<string, unknown> = {}
  const localProfiles = local === undefined ? undefined : profilesIn(local)
  if (localProfiles !== undefined) result.local = localProfiles
  const distro = profilesIn(DISTRO_PROFILES_DIR)
  if (distro !== undefined) result.distro = distro
  if (features.has('cmdarg-print-profiles')) {
    const builtin = builtinProfiles(command)
    if (Array.isArray(builtin)) result.builtin = builtin
  }
  return JSON.stringify(result)
}

function builtinProfiles(command: TpmCommandLine): unknown {
  const output = command.output(['--tpm2', '--print-profiles'])
  try {
    return (JSON.parse(output) as { AvailableProfiles?: unknown } | null)?.AvailableProfiles
  } catch (cause) {
    throw new ToolFailure(
      `${command.words.join(' ')} --print-profiles printed no profiles: "${output.trim()}"; is it swtpm?`,
      { cause },
    )
  }
}

function profilesIn(folder: string): object[] | undefined {
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => name.length > '.json'.length && name.endsWith('.json'))
  } catch {
    return undefined
  }
  return names.sort().flatMap((file) => {
    try {
      const parsed: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'))
      const isProfile = typeof parsed === 'object' && parsed !== null && 'Name' in parsed
      return isProfile ? [{ ...parsed, Name: file.slice(0, -'.json'.length) }] : []
    } catch {
      return [] // not a profile: nothing that could be chosen
    }
  })
}
