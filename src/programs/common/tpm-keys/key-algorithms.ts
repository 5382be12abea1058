/** The algorithms of which a TPM 2 can make keys, by the names that users and messages give them. */

import type { PublicPart } from '../../../tpm-commands/tpm2-commands.ts'
import { TPM_ECC_CURVE } from '../../../tpm-structures/codes.ts'

export const KEY_ALGORITHMS = [
  'rsa2048',
  'rsa3072',
  'rsa4096',
  'secp256r1',
  'secp384r1',
  'secp521r1',
] as const
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number]

const OTHER_NAMES: Readonly<Record<string, KeyAlgorithm>> = {
  ecc_nist_p256: 'secp256r1',
  ecc_nist_p384: 'secp384r1',
  ecc_nist_p521: 'secp521r1',
}

/** The algorithm that a user names, case-blind; undefined when there is none of that name. */
export function keyAlgorithm(name: string): KeyAlgorithm | undefined {
  const lower = name.toLowerCase()
  return KEY_ALGORITHMS.find((algorithm) => algorithm === lower) ?? OTHER_NAMES[lower]
}

/** TPM_ECC_CURVE */
export const CURVES = {
  secp256r1: TPM_ECC_CURVE.NIST_P256,
  secp384r1: TPM_ECC_CURVE.NIST_P384,
  secp521r1: TPM_ECC_CURVE.NIST_P521,
} as const

/** The algorithm of a key; undefined for one that none of them makes. */
export function algorithmOf(key: PublicPart): KeyAlgorithm | undefined {
  if ('modulus' in key) return keyAlgorithm(`rsa${8 * key.modulus.length}`)
  return (Object.keys(CURVES) as (keyof typeof CURVES)[]).find((name) => CURVES[name] === key.curve)
}

export const KEY_ALGORITHM_CHOICES = [...KEY_ALGORITHMS, ...Object.keys(OTHER_NAMES)]

const LABELS: Readonly<Record<KeyAlgorithm, string>> = {
  rsa2048: 'RSA 2048',
  rsa3072: 'RSA 3072',
  rsa4096: 'RSA 4096',
  secp256r1: 'ECC secp256r1',
  // Plain "ECC", since for years it was the only one.
  secp384r1: 'ECC',
  secp521r1: 'ECC secp521r1',
}

/** What messages call it. */
export const keyLabel = (algorithm: KeyAlgorithm): string => LABELS[algorithm]
