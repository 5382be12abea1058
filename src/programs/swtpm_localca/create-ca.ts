/**
 * Makes what is missing of a CA: a root CA, and the local CA under it whose key signs TPM certificates. Both never expire. Keys
 * come before their certificates and the signing certificate last, so a CA that was left half made is completed. Nothing that
 * is there is ever replaced: it may be the only copy of a key.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Extension, KeyUsageFlags, type Name } from '@peculiar/asn1-x509'
import { reasonOf } from '../../system/reason.ts'
import { writeNewFile } from '../common/atomic-file.ts'
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
import { loadAuthority, loadIssuer } from '../swtpm_cert/issue.ts'
import { loadSigningKey, signerFor, signWith } from '../swtpm_cert/signing-key.ts'

const KEY_BITS = 3072
const ROOT_NAME = 'swtpm-localca-rootca'
const LOCAL_NAME = 'swtpm-localca'

export interface CaFiles {
  readonly signingKey: string
  readonly issuerCert: string
  readonly signingKeyPassword: string | undefined
  /** How the user gives that password, for messages. */
  readonly passwordHint?: string
  readonly rootKeyPassword: string | undefined
}

/** All that {@link completeCa} can make. */
export function filesOfCa({
  signingKey,
  issuerCert,
}: Pick<CaFiles, 'signingKey' | 'issuerCert'>): readonly string[] {
  return [signingKey, issuerCert, ...rootFiles(signingKey)]
}

/** Of the root CA, its key and its certificate: beside the signing key. */
const rootFiles = (signingKey: string): readonly [key: string, cert: string] => {
  const path = (part: string): string => join(dirname(signingKey), `${ROOT_NAME}-${part}.pem`)
  return [path('privkey'), path('cert')]
}

/** Whether the CA has all that it needs to sign. @throws ToolFailure when its key is lost, or its files cannot be looked at */
export function isComplete({ signingKey, issuerCert }: CaFiles): boolean {
  const [hasKey, hasCert] = [isThere(signingKey), isThere(issuerCert)]
  if (hasCert && !hasKey) {
    throw new ToolFailure(
      `Cannot use issuer certificate "${issuerCert}": its signing key "${signingKey}" is missing; put the key back, or move the certificate away to have a new CA made`,
    )
  }
  return hasKey && hasCert
}

/** The caller holds the CA's lock. @throws ToolFailure */
export function completeCa(files: CaFiles): void {
  const root = rootCa(files)
  const key = isThere(files.signingKey)
    ? loadSigningKey(files.signingKey, files.signingKeyPassword, files.passwordHint)
    : newKey(files.signingKey, files.signingKeyPassword)
  write(files.issuerCert, caCertificate(LOCAL_NAME, key, root), 0o644)
}

interface RootCa {
  readonly name: Name
  readonly key: KeyObject
}

function rootCa({ signingKey, issuerCert, rootKeyPassword }: CaFiles): RootCa {
  const [keyPath, certPath] = rootFiles(signingKey)
  const [hasKey, hasCert] = [isThere(keyPath), isThere(certPath)]
  if (hasCert && !hasKey) {
    throw new ToolFailure(
      `Cannot make issuer certificate "${issuerCert}": the key of the root CA, "${keyPath}", is missing; put it back, or move "${certPath}" away to have a new root CA made`,
    )
  }
  if (isThere(signingKey) && !hasCert) {
    throw new ToolFailure(
      `Cannot use signing key "${signingKey}": its issuer certificate "${issuerCert}" is missing; put the certificate back, or move the key away to have a new CA made`,
    )
  }
  const hint = 'SWTPM_ROOTCA_PASSWORD in the environment is its password'
  if (hasCert) {
    loadAuthority({
      signingKey: keyPath,
      password: rootKeyPassword,
      passwordHint: hint,
      issuerCert: certPath,
    })
    return { name: loadIssuer(certPath).name, key: loadSigningKey(keyPath, rootKeyPassword, hint) }
  }
  const key = hasKey ? loadSigningKey(keyPath, rootKeyPassword, hint) : newKey(keyPath, rootKeyPassword)
  const root = { name: commonName(ROOT_NAME), key }
  write(certPath, caCertificate(ROOT_NAME, key, root), 0o644)
  return root
}

function caCertificate(name: string, key: KeyObject, issuer: RootCa): string {
  const publicKey = createPublicKey(key)
  const issuerPublicKey = createPublicKey(issuer.key)
  const extensions: Extension[] = [
    basicConstraints(true),
    keyUsage(KeyUsageFlags.keyCertSign),
    subjectKeyIdentifier(keyIdentifierOf(publicKey)),
  ]
  if (name !== ROOT_NAME) extensions.push(authorityKeyIdentifier(keyIdentifierOf(issuerPublicKey)))
  const der = signCertificate(
    {
      // 159 random bits: positive, and never zero for all practical purposes.
      serial: BigInt(`0x${randomBytes(20).toString('hex')}`) >> 1n,
      issuer: issuer.name,
      subject: commonName(name),
      publicKey,
      days: -1,
      extensions,
    },
    signerFor(issuerPublicKey, signWith(issuer.key), { sha1: false }),
  )
  return toPem(der)
}

function newKey(path: string, passphrase: string | undefined): KeyObject {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: KEY_BITS })
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }
  write(path, privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }) as string, 0o600)
  return privateKey
}

/** A link that leads nowhere is there: what it should lead to may come back. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw new ToolFailure(`Cannot look at "${path}" of the local CA: ${reasonOf(error)}`, { cause: error })
  }
}

function write(path: string, content: string, mode: number): void {
  try {
    writeNewFile(path, content, mode)
  } catch (error) {
    throw new ToolFailure(`Cannot write "${path}" of the local CA: ${reasonOf(error)}`, { cause: error })
  }
}
