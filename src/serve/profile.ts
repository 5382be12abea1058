/**
 * The profile that a new TPM 2.0 is made with: which algorithms and commands it has.
 * @see swtpm(8) --profile
 */
import { closeSync, readFileSync } from 'node:fs'
import { SwtpmError } from '../system/errors.ts'
import { reasonOf } from '../system/reason.ts'
import type { ProfileConfig } from './config.ts'

/** What FIPS mode takes away on a host; a TPM that is to live there does without. */
const NOT_ON_FIPS_HOSTS: ReadonlySet<string> = new Set(['camellia', 'tdes', 'rsaes'])
const FIPS_ATTRIBUTE = 'fips-host'

/** @returns JSON text as libtpms takes it. @throws SwtpmError SWTPM_ERR_PROFILE naming the source and what is wrong */
export function readProfile({ source, removeDisabled }: ProfileConfig): string {
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
  if (removeDisabled === undefined) return text
  if (removeDisabled === 'check') {
    // It would have to ask the OpenSSL that libtpms uses; Node brings one of its own.
    throw new SwtpmError(
      'SWTPM_ERR_PROFILE',
      'Cannot use remove-disabled=check: it is not supported; use remove-disabled=fips-host',
    )
  }
  return JSON.stringify(withoutDisabled(profile as Record<string, unknown>, where))
}

/** Only a custom profile may be changed. */
function withoutDisabled(profile: Record<string, unknown>, where: string): Record<string, unknown> {
  const name = String(profile.Name)
  if (name !== 'custom' && !name.startsWith('custom:')) {
    throw new SwtpmError(
      'SWTPM_ERR_PROFILE',
      `Cannot use remove-disabled: it is for profiles named "custom" or "custom:…"; the ${where} is "${name}"`,
    )
  }
  if (typeof profile.Algorithms !== 'string') {
    throw new SwtpmError('SWTPM_ERR_PROFILE', `Cannot use remove-disabled: the ${where} has no "Algorithms"`)
  }
  const algorithms = profile.Algorithms.split(',').filter((name) => !NOT_ON_FIPS_HOSTS.has(name))
  const attributes = typeof profile.Attributes === 'string' ? profile.Attributes.split(',') : []
  if (!attributes.includes(FIPS_ATTRIBUTE)) attributes.push(FIPS_ATTRIBUTE)
  return { ...profile, Algorithms: algorithms.join(','), Attributes: attributes.join(',') }
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
