/** Puts a certificate together and signs it: the fields every one of ours has; what differs comes as extensions. */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectKeyIdentifier,
  KeyIdentifier,
  KeyUsage,
  type KeyUsageFlags,
  type Name,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Time,
  Validity,
} from '@peculiar/asn1-x509'
import type { Signer } from './signing-key.ts'

export interface CertificateContent {
  readonly serial: bigint
  readonly issuer: Name
  readonly subject: Name
  readonly publicKey: KeyObject
  /** Days of validity from now; negative: RFC 5280's "no well-defined expiration", the end of 9999. */
  readonly days: number
  readonly extensions: readonly Extension[]
}

/** @returns the certificate in DER */
export function signCertificate(content: CertificateContent, signer: Signer): Buffer {
  const tbs = new TBSCertificate({
    version: 2,
    serialNumber: positiveInteger(content.serial),
    signature: signer.algorithm,
    issuer: content.issuer,
    validity: validity(content.days),
    subject: content.subject,
    subjectPublicKeyInfo: publicKeyInfo(content.publicKey),
    extensions: new Extensions([...content.extensions]),
  })
  const certificate = new Certificate({
    tbsCertificate: tbs,
    signatureAlgorithm: signer.algorithm,
    signatureValue: Uint8Array.from(signer.sign(new Uint8Array(AsnConvert.serialize(tbs)))).buffer,
  })
  return Buffer.from(AsnConvert.serialize(certificate))
}

export function toPem(der: Buffer): string {
  return new X509Certificate(der).toString()
}

/** Minimal two's complement of a number that is not negative. */
function positiveInteger(value: bigint): ArrayBuffer {
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
  return Uint8Array.from(bytes[0]! & 0x80 ? [0, ...bytes] : bytes).buffer
}

function validity(days: number): Validity {
  const now = Math.floor(Date.now() / 1000) * 1000
  const end = days < 0 ? Date.UTC(9999, 11, 31, 23, 59, 59) : now + days * 24 * 60 * 60 * 1000
  const result = new Validity()
  result.notBefore = time(new Date(now))
  result.notAfter = time(new Date(end))
  return result
}

/** RFC 5280: UTCTime through 2049, GeneralizedTime after. */
const time = (date: Date): Time =>
  new Time(date.getUTCFullYear() < 2050 ? { utcTime: date } : { generalTime: date })

function publicKeyInfo(key: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(key.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo)
}

export const extension = (extnID: string, critical: boolean, value: ArrayBuffer): Extension =>
  new Extension({ extnID, critical, extnValue: new OctetString(value) })

export const basicConstraints = (cA: boolean): Extension =>
  extension(id_ce_basicConstraints, true, AsnConvert.serialize(new BasicConstraints({ cA })))

export const keyUsage = (flags: KeyUsageFlags): Extension =>
  extension(id_ce_keyUsage, true, AsnConvert.serialize(new KeyUsage(flags)))

export const extendedKeyUsage = (purpose: string): Extension =>
  extension(id_ce_extKeyUsage, false, AsnConvert.serialize(new ExtendedKeyUsage([purpose])))

export const authorityKeyIdentifier = (keyIdentifier: KeyIdentifier): Extension =>
  extension(
    id_ce_authorityKeyIdentifier,
    false,
    AsnConvert.serialize(new AuthorityKeyIdentifier({ keyIdentifier })),
  )

export const subjectKeyIdentifier = (keyIdentifier: KeyIdentifier): Extension =>
  extension(
    id_ce_subjectKeyIdentifier,
    false,
    AsnConvert.serialize(new SubjectKeyIdentifier(keyIdentifier.buffer)),
  )

/** RFC 5280, 4.2.1.2, method 1: the SHA-1 of the key's bits. */
export function keyIdentifierOf(key: KeyObject): KeyIdentifier {
  const bits = new Uint8Array(publicKeyInfo(key).subjectPublicKey)
  return new KeyIdentifier(createHash('sha1').update(bits).digest())
}

/** The parts of an issuer's certificate that its certificates refer to. */
export interface Issuer {
  readonly name: Name
  /** Its subject key identifier, computed when the certificate states none. */
  readonly keyIdentifier: KeyIdentifier
  readonly certificate: X509Certificate
}

/** @throws Error when `pemOrDer` is no certificate */
export function readIssuer(pemOrDer: Buffer): Issuer {
  const certificate = new X509Certificate(pemOrDer)
  const { tbsCertificate } = AsnConvert.parse(certificate.raw, Certificate)
  const found = tbsCertificate.extensions?.find(({ extnID }) => extnID === id_ce_subjectKeyIdentifier)
  return {
    name: tbsCertificate.subject,
    keyIdentifier:
      found === undefined
        ? keyIdentifierOf(certificate.publicKey)
        : new KeyIdentifier(AsnConvert.parse(found.extnValue.buffer, SubjectKeyIdentifier).buffer),
    certificate,
  }
}

/** The authority key identifier that a certificate states. */
export function statedAuthorityKey(der: Buffer): Buffer | undefined {
  const { tbsCertificate } = AsnConvert.parse(der, Certificate)
  const found = tbsCertificate.extensions?.find(({ extnID }) => extnID === id_ce_authorityKeyIdentifier)
  if (found === undefined) return undefined
  const { keyIdentifier } = AsnConvert.parse(found.extnValue.buffer, AuthorityKeyIdentifier)
  return keyIdentifier && Buffer.from(keyIdentifier.buffer)
}
