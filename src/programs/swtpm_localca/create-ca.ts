/**
 * Makes the CA: a root CA, and the local CA under it whose key signs TPM certificates. Both never expire. Keys are
 * written before the certificates, and the signing certificate last, so that a half-made CA is made anew.
 */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { type Extension, KeyUsageFlags } from '@peculiar/asn1-x509'
import { reasonOf } from '../../system/reason.ts'
import { writeFileAtomic } from '../common/atomic-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import {
  authorityKeyIdentifier,
  basicConstraints,
  keyIdentifierOf,
  keyUsage,
  signCertificate,
  subjectKeyIdentifier,
  toPem,
} from '../swtpm_cert/certificate.ts'
import { commonName } from '../swtpm_cert/distinguished-name.ts'
import { signerFor, signWith } from '../swtpm_cert/signing-key.ts'

const KEY_BITS = 3072
const ROOT_NAME = 'swtpm-localca-rootca'
const LOCAL_NAME = 'swtpm-localca'

export interface CaFiles {
  readonly signingKey: string
  readonly issuerCert: string
  readonly signingKeyPassword: string | undefined
  readonly rootKeyPassword: string | undefined
}

/** @throws ToolFailure */
export function createCa(files: CaFiles): void {
  const folder = dirname(files.signingKey)
  const root = generateKeyPairSync('rsa', { modulusLength: KEY_BITS })
  const local = generateKeyPairSync('rsa', { modulusLength: KEY_BITS })

  write(
    join(folder, `${ROOT_NAME}-privkey.pem`),
    privateKeyPem(root.privateKey, files.rootKeyPassword),
    0o600,
  )
  write(join(folder, `${ROOT_NAME}-cert.pem`), caCertificate(ROOT_NAME, root.publicKey, root), 0o644)
  write(files.signingKey, privateKeyPem(local.privateKey, files.signingKeyPassword), 0o600)
  write(files.issuerCert, caCertificate(LOCAL_NAME, local.publicKey, root), 0o644)
}

function caCertificate(
  name: string,
  publicKey: KeyObject,
  issuer: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
): string {
  const isRoot = name === ROOT_NAME
  const extensions: Extension[] = [
    basicConstraints(true),
    keyUsage(KeyUsageFlags.keyCertSign),
    subjectKeyIdentifier(keyIdentifierOf(publicKey)),
  ]
  if (!isRoot) extensions.push(authorityKeyIdentifier(keyIdentifierOf(issuer.publicKey)))
  const der = signCertificate(
    {
      // 159 random bits: positive, and never zero for all practical purposes.
      serial: BigInt(`0x${randomBytes(20).toString('hex')}`) >> 1n,
      issuer: commonName(ROOT_NAME),
      subject: commonName(name),
      publicKey,
      days: -1,
      extensions,
    },
    signerFor(issuer.publicKey, signWith(issuer.privateKey), { sha1: false }),
  )
  return toPem(der)
}

function privateKeyPem(key: KeyObject, passphrase: string | undefined): string {
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }
  return key.export({ type: 'pkcs8', format: 'pem', ...encryption }) as string
}

function write(path: string, content: string, mode: number): void {
  try {
    writeFileAtomic(path, content, mode)
  } catch (error) {
    throw new ToolFailure(`Cannot write "${path}" of the local CA: ${reasonOf(error)}`, { cause: error })
  }
}
