/** A public key of a TPM in the form that other programs read: PEM, SubjectPublicKeyInfo. */
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import type { PublicPart } from '../../tpm-commands/tpm2-commands.ts'
import { TPM_ECC_CURVE } from '../../tpm-structures/codes.ts'

const CURVE_NAMES: Readonly<Record<number, string>> = {
  [TPM_ECC_CURVE.NIST_P256]: 'P-256',
  [TPM_ECC_CURVE.NIST_P384]: 'P-384',
  [TPM_ECC_CURVE.NIST_P521]: 'P-521',
}

/** The exponent of all keys that are made here: 65537. */
const EXPONENT = 'AQAB'

/** @returns undefined for a curve that has no name here */
export function publicKeyPem(key: PublicPart): Buffer | undefined {
  const jwk = jwkOf(key)
  if (jwk === undefined) return undefined
  return Buffer.from(createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
}

function jwkOf(key: PublicPart): JsonWebKey | undefined {
  if ('modulus' in key) return { kty: 'RSA', n: key.modulus.toString('base64url'), e: EXPONENT }
  const crv = CURVE_NAMES[key.curve]
  if (crv === undefined) return undefined
  return { kty: 'EC', crv, x: key.x.toString('base64url'), y: key.y.toString('base64url') }
}
