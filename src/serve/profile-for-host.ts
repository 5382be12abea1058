/**
 * A custom profile without what the OpenSSL of the host refuses, so that a TPM does not promise what fails there.
 *
 * Which algorithm, key size and attribute it is about is decided as the reference does.
 * @see swtpm(8) --profile, remove-disabled
 */
import { REFUSED_CRYPTO } from '../../contract/engine-channel.ts'

const { camellia, tdes, rsaes, smallKeys, sha1Signing, sha1Verification, unpaddedEncryption, sha1Hmac } =
  REFUSED_CRYPTO

/** What OpenSSL refuses in FIPS mode, as RHEL has had it since 9.4. HMAC with SHA-1 goes on there. */
export const REFUSED_ON_FIPS_HOSTS =
  camellia | tdes | rsaes | smallKeys | sha1Signing | sha1Verification | unpaddedEncryption

const ALGORITHMS = [
  [camellia, 'camellia'],
  [tdes, 'tdes'],
  [rsaes, 'rsaes'],
  [smallKeys, 'ecc-nist-p192'],
] as const
/** A number of bits, where small keys are refused. */
const SMALLEST_KEYS = [
  ['ecc-min-size', 224],
  ['rsa-min-size', 2048],
] as const

const ATTRIBUTES = [
  [sha1Signing, 'no-sha1-signing'],
  [sha1Verification, 'no-sha1-verification'],
  [unpaddedEncryption, 'no-unpadded-encryption'],
] as const
/** The attribute that stands for all of {@link ATTRIBUTES}. */
const ALL_ATTRIBUTES = 'fips-host'
const NO_HMAC = 'no-sha1-hmac'
const NO_HMAC_PARTS = ['no-sha1-hmac-creation', 'no-sha1-hmac-verification']

/** @param refused bits of REFUSED_CRYPTO */
export function withoutRefusedAlgorithms(algorithms: readonly string[], refused: number): string[] {
  // Of several values for one name libtpms takes the last.
  const settings = new Map<string, string>()
  for (const algorithm of algorithms) {
    const [name = ''] = algorithm.split('=')
    settings.delete(name)
    settings.set(name, algorithm)
  }
  for (const [bit, name] of ALGORITHMS) {
    if ((refused & bit) === 0) continue
    settings.delete(name)
    settings.delete(`${name}-min-size`)
  }
  if ((refused & smallKeys) !== 0) {
    for (const [name, bits] of SMALLEST_KEYS) {
      const given = Number(settings.get(name)?.split('=')[1] ?? 0)
      // One that is no number stays, for libtpms to refuse.
      if (given < bits) settings.set(name, `${name}=${bits}`)
    }
  }
  return [...settings.values()]
}

/** @param refused bits of REFUSED_CRYPTO */
export function withoutRefusedUses(attributes: readonly string[], refused: number): string[] {
  const has = (name: string): boolean => attributes.includes(name)
  const missing = has(ALL_ATTRIBUTES)
    ? []
    : ATTRIBUTES.filter(([bit, name]) => (refused & bit) !== 0 && !has(name)).map(([, name]) => name)
  const noHmac = (refused & sha1Hmac) !== 0 && !has(NO_HMAC) && !NO_HMAC_PARTS.every(has)
  return [...attributes, ...missing, ...(noHmac ? [NO_HMAC] : [])]
}
