/** The key a CA signs with: loading it, and which signature fits it. */
import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { AlgorithmIdentifier } from '@peculiar/asn1-x509'
import { reasonOf } from '../../system/reason.ts'
import { readTrustedFile } from '../common/read-trusted.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { OID } from './oids.ts'

export interface Signer {
  readonly algorithm: AlgorithmIdentifier
  sign(data: Uint8Array): Buffer
}

/** Signs with a private key, wherever that is; `hash` is undefined for the kinds of keys that bring their own. */
export type RawSign = (hash: string | undefined, data: Uint8Array) => Buffer

export const signWith =
  (key: KeyObject): RawSign =>
  (hash, data) =>
    sign(hash, data, key)

/**
 * Loads a PEM key; text before the key, which certtool writes, is skipped.
 * @param passwordHint how the user gives its password, for messages
 * @throws ToolFailure
 */
export function loadSigningKey(
  path: string,
  password: string | undefined,
  passwordHint = 'pass --signkey-pwd',
): KeyObject {
  let pem: string
  try {
    pem = readTrustedFile(path).toString('latin1')
  } catch (error) {
    throw new ToolFailure(`Cannot read signing key "${path}": ${reasonOf(error)}`, { cause: error })
  }
  try {
    return createPrivateKey(password === undefined ? pem : { key: pem, passphrase: password })
  } catch (error) {
    throw new ToolFailure(
      `Cannot load signing key "${path}": ${reasonNotLoaded(pem, password, passwordHint)}`,
      {
        cause: error,
      },
    )
  }
}

/** OpenSSL's own reason, "DECODER routines::unsupported", helps no user. */
function reasonNotLoaded(pem: string, password: string | undefined, passwordHint: string): string {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) return 'it holds no PEM private key'
  if (!/ENCRYPTED/.test(pem)) return 'its private key is damaged; put it back from a copy'
  return password === undefined
    ? `it is encrypted and no password was given; ${passwordHint}`
    : `the password does not open it; ${passwordHint}`
}

const DER_NULL = Uint8Array.of(5, 0).buffer

/**
 * The signature for a certificate, made by `raw` with the private half of `key`. TPM 1.2 knows only SHA-1; an ECC key takes the hash of its own strength.
 * @throws ToolFailure for a kind of key that signs no certificates here
 */
export function signerFor(key: KeyObject, raw: RawSign, options: { readonly sha1: boolean }): Signer {
  const { sha1 } = options
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return hashSigner(raw, sha1 ? 'sha1' : 'sha256', sha1 ? OID.sha1WithRsa : OID.sha256WithRsa, DER_NULL)
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve
      if (sha1) return hashSigner(raw, 'sha1', OID.ecdsaWithSha1)
      if (curve === 'secp521r1') return hashSigner(raw, 'sha512', OID.ecdsaWithSha512)
      if (curve === 'secp384r1') return hashSigner(raw, 'sha384', OID.ecdsaWithSha384)
      return hashSigner(raw, 'sha256', OID.ecdsaWithSha256)
    }
    case 'ed25519':
      return hashSigner(raw, undefined, OID.ed25519)
    case 'ed448':
      return hashSigner(raw, undefined, OID.ed448)
    default:
      throw new ToolFailure(
        `Cannot sign with a key of type ${key.asymmetricKeyType}: use an RSA, ECC, Ed25519 or Ed448 key`,
      )
  }
}

function hashSigner(
  raw: RawSign,
  hash: string | undefined,
  algorithm: string,
  parameters?: ArrayBuffer,
): Signer {
  return {
    algorithm: new AlgorithmIdentifier({ algorithm, ...(parameters && { parameters }) }),
    sign: (data) => raw(hash, data),
  }
}
