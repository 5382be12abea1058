/** `--flags`, `--locality`, `--migration`, `--seccomp` and `--profile`. */

import type { SeccompAction, TpmVersion } from '../../../contract/engine-options.ts'
import type { Given } from '../../programs/common/options/given-options.ts'
import type { CommonConfig, ProfileConfig, StartupChoice } from '../../serve/config.ts'
import { engineOptionsOf } from '../options/engine-settings.ts'
import {
  flagsSchema,
  localitySchema,
  migrationSchema,
  profileSchema,
  seccompSchema,
} from '../options/sub-options.ts'
import { settingsOf, subOptionsOf } from './given.ts'
import { subOptionError } from './sub-options.ts'

/**
 * How the TPM starts. A Startup that is sent automatically implies not-need-init; a vTPM proxy device implies
 * startup-clear, because the kernel wants a TPM that has had its Startup, unless another one is chosen.
 */
export function flagsOf(given: Given<'flags' | 'vtpm-proxy'>, tpmVersion: TpmVersion): CommonConfig['flags'] {
  const values = settingsOf(given, 'flags', flagsSchema)
  const types = (['clear', 'state', 'deactivated', 'none'] as const).filter(
    (type) => values[`startup-${type}`],
  )
  if (types.length > 1) {
    throw subOptionError(
      'flags',
      `${types.map((type) => `startup-${type}`).join(' and ')} exclude each other`,
    )
  }
  const proxy = given.has('vtpm-proxy')
  const startup: StartupChoice = types[0] ?? (proxy ? 'clear' : 'none')
  if (startup === 'deactivated' && tpmVersion === '2') {
    throw subOptionError('flags', 'startup-deactivated is for a TPM 1.2 only, not with --tpm2')
  }
  return {
    needInit: !(proxy || startup !== 'none' || values['not-need-init']),
    startup,
  }
}

/**
 * Of a TPM behind (`--behind`): it is on, and it has been started up, or is by its clients. Only where our own is to answer what a
 * recording has no response to, that one is started up.
 */
export function flagsOfOther(
  given: Given<'flags' | 'vtpm-proxy' | 'behind'>,
  tpmVersion: TpmVersion,
): CommonConfig['flags'] {
  const flags = flagsOf(given, tpmVersion)
  const withOurs = given.text('behind')?.includes('else=ours') ?? false
  return {
    needInit: false,
    startup: withOurs ? (flags.startup === 'none' ? 'clear' : flags.startup) : 'none',
  }
}

/** A vTPM proxy device implies allow-set-locality: the kernel's driver sends the locality in-band. */
export function allowsSetLocality(given: Given<'locality' | 'vtpm-proxy'>): boolean {
  return given.has('vtpm-proxy') || settingsOf(given, 'locality', localitySchema)['allow-set-locality']
}

/** What goes to the engine as it is. */
export const engineBehaviourOf = (given: Given<'flags' | 'locality'>) => ({
  ...engineOptionsOf(flagsSchema, settingsOf(given, 'flags', flagsSchema)),
  ...engineOptionsOf(localitySchema, settingsOf(given, 'locality', localitySchema)),
})

export function migrationOf(given: Given<'migration'>): CommonConfig['migration'] {
  const values = settingsOf(given, 'migration', migrationSchema)
  return {
    incoming: values.incoming,
    releaseLockOutgoing: values['release-lock-outgoing'],
  }
}

export function seccompOf(given: Given<'seccomp'>): SeccompAction {
  return settingsOf(given, 'seccomp', seccompSchema).action
}

export function profileOf(given: Given<'profile'>): ProfileConfig | undefined {
  const values = subOptionsOf(given, 'profile', profileSchema)
  if (values === undefined) return undefined
  const sources: ProfileConfig['source'][] = []
  if (values.name !== undefined) sources.push({ kind: 'json', json: JSON.stringify({ Name: values.name }) })
  if (values.profile !== undefined) sources.push({ kind: 'json', json: values.profile.trim() })
  if (values.file !== undefined) sources.push({ kind: 'file', path: values.file })
  if (values.fd !== undefined) sources.push({ kind: 'fd', fd: values.fd })
  const [source] = sources
  if (source === undefined || sources.length > 1) {
    throw subOptionError('profile', 'exactly one of name, profile, file and fd is required')
  }
  return { source, removeDisabled: values['remove-disabled'] }
}
