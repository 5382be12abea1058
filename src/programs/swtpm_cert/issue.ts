/** Issues the TCG's certificates: which extensions each kind has, in the order in which they have always been written. */
import {
  type Extension,
  id_ce_subjectAltName,
  id_ce_subjectDirectoryAttributes,
  KeyUsageFlags,
  Name,
} from '@peculiar/asn1-x509'
import { reasonOf } from '../../system/reason.ts'
import { readTrustedFile } from '../common/read-trusted.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  extension,
  type Issuer,
  keyUsage,
  readIssuer,
  signCertificate,
} from './certificate.ts'
import { parseDistinguishedName } from './distinguished-name.ts'
import { OID } from './oids.ts'
import { isPkcs11Uri, pkcs11Sign } from './pkcs11.ts'
import type { CertificateRequest } from './request.ts'
import { loadSigningKey, type RawSign, signerFor, signWith } from './signing-key.ts'
import {
  directoryAltName,
  hardwareModuleAltName,
  platformMakerName,
  tpm12PlatformAltName,
  tpmMakerName,
  tpmSpecificationAttributes,
} from './tcg-structures.ts'

export interface Authority {
  readonly sign: RawSign
  readonly issuer: Issuer
}

export interface AuthorityPlace {
  /** A PEM file or a PKCS #11 URI. */
  readonly signingKey: string
  readonly password: string | undefined
  /** How the user gives the password, for messages. */
  readonly passwordHint?: string
  readonly issuerCert: string
  /** For the PKCS #11 module. */
  readonly environment?: NodeJS.ProcessEnv
}

/** @throws ToolFailure when key or certificate cannot be loaded, or do not belong together */
export function loadAuthority(place: AuthorityPlace): Authority {
  const { signingKey, issuerCert } = place
  if (signingKey.startsWith('tpmkey:')) {
    throw new ToolFailure(`Cannot use signing key "${signingKey}": use a PEM file or a PKCS #11 URI`)
  }
  const key = isPkcs11Uri(signingKey)
    ? undefined
    : loadSigningKey(signingKey, place.password, place.passwordHint)
  const issuer = loadIssuer(issuerCert)
  const { certificate } = issuer
  if (key === undefined) {
    return { issuer, sign: pkcs11Sign(signingKey, certificate.publicKey, place.environment ?? process.env) }
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new ToolFailure(
      `Cannot sign with "${signingKey}": it is not the key of issuer certificate "${issuerCert}", so signatures could not be verified; use the pair that belongs together`,
    )
  }
  return { issuer, sign: signWith(key) }
}

/** @throws ToolFailure for a file that holds no certificate, or one that has expired */
export function loadIssuer(path: string): Issuer {
  let bytes: Buffer
  try {
    bytes = readTrustedFile(path)
  } catch (error) {
    throw new ToolFailure(`Cannot read issuer certificate "${path}": ${reasonOf(error)}`, { cause: error })
  }
  let issuer: Issuer
  try {
    issuer = readIssuer(bytes)
  } catch (error) {
    const damaged = bytes.includes('-----BEGIN CERTIFICATE-----')
    const reason = damaged ? 'it is damaged; put it back from a copy' : 'it holds no X.509 certificate'
    throw new ToolFailure(`Cannot load issuer certificate "${path}": ${reason}`, { cause: error })
  }
  const { validTo } = issuer.certificate
  if (Date.parse(validTo) < Date.now()) {
    throw new ToolFailure(
      `Cannot issue certificates with "${path}": it expired on ${validTo}, so they could not be verified; renew it`,
    )
  }
  return issuer
}

/** @returns the certificate in DER */
export function issueCertificate(request: CertificateRequest, authority: Authority): Buffer {
  return signCertificate(
    {
      serial: request.serial,
      days: request.days,
      issuer: authority.issuer.name,
      // TPM 1.2 certificates have an empty subject.
      subject:
        request.subject !== undefined && request.tpm2 ? parseDistinguishedName(request.subject) : new Name(),
      publicKey: request.publicKey,
      extensions: extensionsOf(request, authority.issuer),
    },
    signerFor(authority.issuer.certificate.publicKey, authority.sign, { sha1: !request.tpm2 }),
  )
}

function extensionsOf(request: CertificateRequest, issuer: Issuer): Extension[] {
  const constraints = basicConstraints(false)
  const issuerKey = authorityKeyIdentifier(issuer.keyIdentifier)
  const usage = keyUsage(keyUsageOf(request))
  const altName = (critical: boolean, value: ArrayBuffer): Extension =>
    extension(id_ce_subjectAltName, critical, value)

  switch (request.type) {
    case 'ek':
      return [
        extendedKeyUsage(OID.ekCertificate),
        altName(true, directoryAltName(tpmMakerName(request.tpm!))),
        constraints,
        extension(
          id_ce_subjectDirectoryAttributes,
          false,
          tpmSpecificationAttributes(request.specification!),
        ),
        issuerKey,
        usage,
      ]
    case 'platform':
      return [
        altName(
          true,
          request.tpm2
            ? directoryAltName(platformMakerName(request.platform!, true))
            : tpm12PlatformAltName(request.tpm!, request.platform!),
        ),
        constraints,
        issuerKey,
        usage,
        extendedKeyUsage(OID.platformCertificate),
      ]
    case 'iak':
    case 'idevid':
      return [altName(false, hardwareModuleAltName(request.tpmSerialNumber!)), constraints, issuerKey, usage]
  }
}

function keyUsageOf(request: CertificateRequest): KeyUsageFlags {
  if (request.type === 'iak' || request.type === 'idevid') return KeyUsageFlags.digitalSignature
  if (!request.tpm2) return KeyUsageFlags.keyEncipherment
  const isEcc = request.publicKey.asymmetricKeyType === 'ec'
  const decrypts = request.decryption || !request.allowSigning
  return (
    (request.allowSigning ? KeyUsageFlags.digitalSignature : 0) |
    (decrypts ? (isEcc ? KeyUsageFlags.keyAgreement : KeyUsageFlags.keyEncipherment) : 0)
  )
}

/** TCG_PCCLIENT_STORED_CERT before the certificate, as TPM 1.2 NVRAM wants it. */
export function withStoredCertHeader(der: Buffer): Buffer {
  const header = Buffer.alloc(STORED_CERT_HEADER_BYTES)
  header.writeUInt16BE(0x1001, 0) // TCG_TAG_PCCLIENT_STORED_CERT
  header.writeUInt8(0, 2) // a full certificate
  header.writeUInt16BE(der.length + 2, 3) // the tag that follows counts
  header.writeUInt16BE(0x1002, 5) // TCG_TAG_PCCLIENT_FULL_CERT
  return Buffer.concat([header, der])
}

export const STORED_CERT_HEADER_BYTES = 7
