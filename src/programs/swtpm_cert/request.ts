/** What certificate a command line asks for; everything missing or wrong is found here, before any key is touched. */
import type { KeyObject } from 'node:crypto'
import type { GivenOptions } from '../common/options/given-options.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { CERT_OPTIONS, CertificateType } from './cert-options.ts'
import { CERTIFICATE_TYPES } from './cert-options.ts'
import { eccPublicKey, hexBytes, readPublicKey, rsaPublicKey } from './public-key.ts'
import type { Maker, TpmSpecification } from './tcg-structures.ts'

export type CertOptions = GivenOptions<typeof CERT_OPTIONS>

export interface CertificateRequest {
  readonly type: CertificateType
  readonly tpm2: boolean
  readonly allowSigning: boolean
  readonly decryption: boolean
  readonly publicKey: KeyObject
  readonly serial: bigint
  readonly days: number
  readonly subject: string | undefined
  readonly tpm: Maker | undefined
  readonly platform: Maker | undefined
  readonly specification: TpmSpecification | undefined
  readonly tpmSerialNumber: string | undefined
}

const MAX_SERIAL_BITS = 160n

export function certificateRequest(options: CertOptions): CertificateRequest {
  const type = certificateType(options.text('type') ?? 'ek')
  const needsMaker = type === 'ek' || type === 'platform'
  const request: CertificateRequest = {
    type,
    tpm2: options.has('tpm2'),
    allowSigning: options.has('allow-signing'),
    decryption: options.has('decryption'),
    serial: serialNumber(options.text('serial') ?? '1'),
    days: integer('--days', options.text('days') ?? '365', -Infinity),
    subject: options.text('subject'),
    tpm: needsMaker ? maker(options, 'tpm') : undefined,
    platform: type === 'platform' ? maker(options, 'platform') : undefined,
    specification: type === 'ek' ? specification(options) : undefined,
    tpmSerialNumber: options.text('tpm-serial-num'),
    publicKey: publicKey(options),
  }
  if (!needsMaker && request.tpmSerialNumber === undefined) {
    throw new ToolFailure(
      `A certificate of type ${type} needs the TPM's serial number: pass --tpm-serial-num`,
    )
  }
  return request
}

function certificateType(text: string): CertificateType {
  const type = CERTIFICATE_TYPES.find((name) => name === text.toLowerCase())
  if (type === undefined) {
    throw new ToolFailure(`Unknown certificate type '${text}'; use ${CERTIFICATE_TYPES.join(', ')}`)
  }
  return type
}

function maker(options: CertOptions, whose: 'tpm' | 'platform'): Maker {
  const [manufacturer, model, version] = [
    options.text(`${whose}-manufacturer`),
    options.text(`${whose}-model`),
    options.text(`${whose}-version`),
  ]
  if (manufacturer === undefined || model === undefined || version === undefined) {
    throw new ToolFailure(
      `--${whose}-manufacturer, --${whose}-model and --${whose}-version must all be provided`,
    )
  }
  return { manufacturer, model, version }
}

function specification(options: CertOptions): TpmSpecification {
  const [family, level, revision] = [
    options.text('tpm-spec-family'),
    options.text('tpm-spec-level'),
    options.text('tpm-spec-revision'),
  ]
  if (family === undefined || level === undefined || revision === undefined) {
    throw new ToolFailure('--tpm-spec-family, --tpm-spec-level and --tpm-spec-revision must all be provided')
  }
  return {
    family,
    level: integer('--tpm-spec-level', level, 0),
    revision: integer('--tpm-spec-revision', revision, 0),
  }
}

function publicKey(options: CertOptions): KeyObject {
  const [file, modulus] = [options.text('pubkey'), options.text('modulus')]
  const [x, y] = [options.text('ecc-x'), options.text('ecc-y')]
  if (modulus !== undefined && (x !== undefined || y !== undefined)) {
    throw new ToolFailure('Cannot use an RSA modulus together with ECC parameters: give one of them')
  }
  if ((x === undefined) !== (y === undefined)) {
    throw new ToolFailure('Missing one half of the ECC key: pass both --ecc-x and --ecc-y')
  }
  if (file !== undefined) return readPublicKey(file)
  if (modulus !== undefined) {
    const exponent = integer('--exponent', options.text('exponent') ?? '0x10001', 1)
    if (exponent > 0xffffffff) throw new ToolFailure('The exponent must fit into 32 bits')
    return rsaPublicKey(hexBytes('--modulus', modulus), exponent)
  }
  if (x !== undefined && y !== undefined) {
    return eccPublicKey(hexBytes('--ecc-x', x), hexBytes('--ecc-y', y), options.text('ecc-curveid'))
  }
  throw new ToolFailure('Missing the public EK: pass --pubkey, --modulus, or --ecc-x and --ecc-y')
}

function serialNumber(text: string): bigint {
  if (!/^\d+$/.test(text)) throw new ToolFailure(`Serial number "${text}" is invalid: give decimal digits`)
  const serial = BigInt(text)
  if (serial >> MAX_SERIAL_BITS !== 0n) throw new ToolFailure('Serial number is too large: 20 bytes at most')
  return serial
}

function integer(option: string, text: string, minimum: number): number {
  const value = /^-?(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value) || value < minimum) {
    const wanted = Number.isFinite(minimum) ? `an integer of at least ${minimum}` : 'an integer'
    throw new ToolFailure(`Option ${option} needs ${wanted}, not "${text}"`)
  }
  return value
}
