/** The public key that a certificate is about, from the forms in which a TPM's key arrives. */
import { createPublicKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto'
import { reasonOf } from '../../system/reason.ts'
import { readTrustedFile } from '../common/read-trusted.ts'
import { ToolFailure } from '../common/tool-failure.ts'

const CURVES: Readonly<Record<string, { readonly jwk: string; readonly bytes: number }>> = {
  secp256r1: { jwk: 'P-256', bytes: 32 },
  secp384r1: { jwk: 'P-384', bytes: 48 },
  secp521r1: { jwk: 'P-521', bytes: 66 },
}

/** @throws ToolFailure naming `option` when `digits` are not whole bytes in hex */
export function hexBytes(option: string, digits: string): Buffer {
  if (digits.length % 2 !== 0) {
    throw new ToolFailure(`Option ${option} got an odd number of hex digits (${digits.length})`)
  }
  const illegal = /[^0-9A-Fa-f]/.exec(digits)?.[0]
  if (illegal !== undefined)
    throw new ToolFailure(`Option ${option} got the illegal hex character '${illegal}'`)
  return Buffer.from(digits, 'hex')
}

export function rsaPublicKey(modulus: Buffer, exponent: number): KeyObject {
  const start = modulus.findIndex((byte) => byte !== 0)
  if (start < 0) throw new ToolFailure('The RSA modulus is zero')
  const exponentHex = exponent.toString(16)
  const e = Buffer.from(exponentHex.length % 2 ? `0${exponentHex}` : exponentHex, 'hex').toString('base64url')
  return fromJwk(
    { kty: 'RSA', n: modulus.subarray(start).toString('base64url'), e },
    'RSA modulus and exponent',
  )
}

export function eccPublicKey(x: Buffer, y: Buffer, curveId = 'secp256r1'): KeyObject {
  const curve = CURVES[curveId]
  if (curve === undefined) {
    throw new ToolFailure(`Unsupported ECC curve id "${curveId}"; use ${Object.keys(CURVES).join(', ')}`)
  }
  const coordinate = (value: Buffer): string =>
    Buffer.concat([Buffer.alloc(Math.max(0, curve.bytes - value.length)), value]).toString('base64url')
  return fromJwk({ kty: 'EC', crv: curve.jwk, x: coordinate(x), y: coordinate(y) }, `point on ${curveId}`)
}

function fromJwk(key: JsonWebKeyInput['key'], what: string): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch (error) {
    throw new ToolFailure(`The ${what} given make no public key: ${reasonOf(error)}`, { cause: error })
  }
}

/** @throws ToolFailure */
export function readPublicKey(path: string): KeyObject {
  let bytes: Buffer
  try {
    bytes = readTrustedFile(path)
  } catch (error) {
    throw new ToolFailure(`Cannot read the public key "${path}": ${reasonOf(error)}`, { cause: error })
  }
  try {
    return createPublicKey(bytes)
  } catch (error) {
    throw new ToolFailure(`Cannot load the public key "${path}": it holds no PEM public key`, {
      cause: error,
    })
  }
}
