/**
 * The profile that a new TPM 2.0 is made with: which algorithms and commands it has.
 * @see swtpm(8) --profile
 */
import { closeSync, readFileSync } from 'node:fs'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import type { ProfileConfig } from './config.ts'
import { REFUSED_ON_FIPS_HOSTS, withoutRefusedAlgorithms, withoutRefusedUses } from './profile-for-host.ts'

/** What an engine tells about the host and its libtpms. */
export interface AboutHost {
  /** What its OpenSSL refuses: bits of REFUSED_CRYPTO. */
  refusedCrypto(): Promise<number>
  /** The algorithms of libtpms's profile "custom", separated by commas; undefined where libtpms has none. */
  customAlgorithms(): Promise<string | undefined>
}

export interface Profile {
  /** @returns JSON text as libtpms takes it. @throws SwtpmError SWTPM_ERR_PROFILE */
  forHost(host: AboutHost): Promise<string>
}

/** @throws SwtpmError SWTPM_ERR_PROFILE naming the source and what is wrong */
export function readProfile({ source, removeDisabled }: ProfileConfig): Profile {
  // libtpms refuses a line end after the brace.
  const text = (source.kind === 'json' ? source.json : readSource(source)).trim()
  const where =
    source.kind === 'json'
      ? 'profile'
      : source.kind === 'file'
        ? `profile "${source.path}"`
        : `profile on descriptor ${source.fd}`
  let profile: unknown
  try {
    profile = JSON.parse(text)
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_PROFILE', `Cannot use the ${where}: it is not JSON (${reasonOf(error)})`)
  }
  if (typeof profile !== 'object' || profile === null || !('Name' in profile)) {
    throw new SwtpmError('SWTPM_ERR_PROFILE', `Cannot use the ${where}: it has no "Name"`)
  }
  const asItIs: Profile = { forHost: async () => text }
  if (removeDisabled === undefined) return asItIs
  const name = String(profile.Name)
  if (name !== 'custom' && !name.startsWith('custom:')) {
    log.warn(
      `The ${where}, "${name}", is used as it is: remove-disabled is for profiles named "custom" or "custom:…"`,
    )
    return asItIs
  }
  const algorithms = list(profile, 'Algorithms', where)
  const attributes = list(profile, 'Attributes', where)
  return {
    async forHost(host) {
      const refused = removeDisabled === 'check' ? await host.refusedCrypto() : REFUSED_ON_FIPS_HOSTS
      const all = algorithms ?? (await host.customAlgorithms())?.split(',')
      if (all === undefined) {
        throw new SwtpmError('SWTPM_ERR_PROFILE', 'Cannot use --profile: it needs libtpms 0.10 or later')
      }
      const uses = withoutRefusedUses(attributes ?? [], refused)
      return JSON.stringify({
        ...profile,
        Algorithms: withoutRefusedAlgorithms(all, refused).join(','),
        ...(attributes === undefined && uses.length === 0 ? {} : { Attributes: uses.join(',') }),
      })
    },
  }
}

function list(profile: object, member: string, where: string): string[] | undefined {
  const value: unknown = (profile as Record<string, unknown>)[member]
  if (value === undefined) return undefined
  if (typeof value === 'string') return value === '' ? [] : value.split(',')
  throw new SwtpmError('SWTPM_ERR_PROFILE', `Cannot use the ${where}: its "${member}" is no text`)
}

function readSource(source: { kind: 'file'; path: string } | { kind: 'fd'; fd: number }): string {
  try {
    const text = readFileSync(source.kind === 'file' ? source.path : source.fd, 'utf8')
    if (source.kind === 'fd') closeSync(source.fd)
    return text
  } catch (error) {
    const name = source.kind === 'file' ? `"${source.path}"` : `on descriptor ${source.fd}`
    throw new SwtpmError('SWTPM_ERR_PROFILE', `Cannot read profile ${name}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
