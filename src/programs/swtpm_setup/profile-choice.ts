/** Which profile a new TPM 2 gets: from the command line, else from the configuration. */
import type { ConfigFile } from '../common/config-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { openDescriptor } from './open-descriptor.ts'
import { checkProfile, type Profile, profileByName, profileFromFile } from './profiles.ts'
import type { SetupOptions } from './setup-options.ts'
import type { TpmFeatures } from './tpm-features.ts'

export const PROFILE_OPTIONS = ['profile', 'profile-name', 'profile-file', 'profile-file-fd'] as const

/** @throws ToolFailure for a profile that the TPM at hand cannot have */
export function chosenProfile(
  options: SetupOptions,
  config: ConfigFile,
  features: TpmFeatures,
): Profile | undefined {
  const given = givenProfile(options, config) ?? defaultProfile(config, features)
  if (given === undefined) return undefined
  if (!features.has('cmdarg-profile')) {
    throw new ToolFailure(
      'This swtpm has no profiles: libtpms 0.10 or later is needed; leave the profile out',
    )
  }
  if ('json' in given) checkProfile(given.json, features)
  return given
}

function givenProfile(options: SetupOptions, config: ConfigFile): Profile | undefined {
  const [json, name, file, fd] = PROFILE_OPTIONS.map((option) => options.text(option))
  if (json !== undefined) return { json }
  if (name !== undefined) return profileByName(name, config)
  if (file !== undefined) return profileFromFile(file)
  if (fd !== undefined) return { fd: openDescriptor('profile-file-fd', fd) }
  return undefined
}

/** A configured default is no demand: a TPM without profiles is what such a configuration had before it. */
function defaultProfile(config: ConfigFile, features: TpmFeatures): Profile | undefined {
  if (!features.has('cmdarg-profile')) return undefined
  const file = config.value('profile_file')
  if (file !== undefined) return profileFromFile(file)
  const json = config.value('profile')
  return json === undefined ? undefined : { json }
}
