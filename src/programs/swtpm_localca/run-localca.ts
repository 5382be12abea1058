/** swtpm_localca: keeps a small CA on this machine, makes it when it is missing, and issues one certificate. */

import { join } from 'node:path'
import { choiceHint } from '../../system/did-you-mean.ts'
import { removeLeftovers } from '../common/atomic-file.ts'
import { chooseCa, chooseCertOptions } from '../common/ca-choice.ts'
import type { GivenOptions } from '../common/options/given-options.ts'
import { readOptions } from '../common/options/read-options.ts'
import { UsageError } from '../common/options/usage-error.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import {
  CERT_OPTIONS,
  CERT_STYLE,
  CERTIFICATE_TYPES,
  type CertificateType,
} from '../swtpm_cert/cert-options.ts'
import { writeCertificate } from '../swtpm_cert/certificate-output.ts'
import { issueCertificate, loadAuthority, withStoredCertHeader } from '../swtpm_cert/issue.ts'
import { isPkcs11Uri } from '../swtpm_cert/pkcs11.ts'
import { type CertOptions, certificateRequest } from '../swtpm_cert/request.ts'
import { withFileLock } from './ca-lock.ts'
import { splitOptions } from './cert-options-file.ts'
import { completeCa, filesOfCa, isComplete } from './create-ca.ts'
import type { LOCALCA_OPTIONS } from './localca-options.ts'
import { CA_SETTINGS, type CaSettings, caSettings } from './localca-settings.ts'
import { takeSerial } from './serial-number.ts'

type LocalcaOptions = GivenOptions<typeof LOCALCA_OPTIONS>

export async function runLocalca(options: LocalcaOptions, log: ToolLog): Promise<number> {
  issue(options, log)
  return 0
}

function issue(options: LocalcaOptions, log: ToolLog): void {
  const optionsFile = chooseCertOptions(options.text('optsfile'))
  const { config, remark } = chooseCa(options.text('configfile'))
  const type = certificateType(options.text('type') ?? '')
  if (remark !== undefined) log.info(remark)
  for (const line of config.ignored(CA_SETTINGS)) log.info(line)
  const extraOptions = splitOptions(optionsFile)
  const settings = caSettings(config, log)

  const der = withFileLock(settings.lockFile, () => {
    // A key among them would be a copy of one that is used.
    removeLeftovers([...filesOfCa(settings), settings.certSerial])
    const passwordHint = `signingkey_password in "${config.path}" is its password`
    completeMissingCa(settings, passwordHint, log)
    const authority = loadAuthority({ ...settings, password: settings.signingKeyPassword, passwordHint })
    const words = certArguments(options, type, extraOptions, settings)
    return issueCertificate(certificateRequest(certOptions(words, optionsFile.path)), authority)
  })
  const path = join(options.text('dir') ?? '.', `${type}.cert`)
  writeCertificate(path, options.has('tpm2') ? der : withStoredCertHeader(der))
  log.info(`Successfully created ${type === 'ek' ? 'EK' : type} certificate locally.`)
}

/** The CA is made while its lock is held: of two first callers one makes it and the other finds it. */
function completeMissingCa(settings: CaSettings, passwordHint: string, log: ToolLog): void {
  // A key on a token is made by its owner, with its certificate.
  if (isPkcs11Uri(settings.signingKey)) return
  const files = { ...settings, passwordHint, rootKeyPassword: process.env.SWTPM_ROOTCA_PASSWORD }
  if (isComplete(files)) return
  log.info("Creating root CA and a local CA's signing key and issuer cert.")
  completeCa(files)
}

function certOptions(words: readonly string[], optionsFile: string): CertOptions {
  try {
    return readOptions(CERT_OPTIONS, words, CERT_STYLE)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new ToolFailure(
      `Cannot use options file "${optionsFile}": ${error.message}; swtpm_cert --help lists the options`,
      { cause: error },
    )
  }
}

/** The command line that swtpm_cert would get: what the options file says, then what is known here. */
function certArguments(
  options: LocalcaOptions,
  type: CertificateType,
  extraOptions: readonly string[],
  settings: CaSettings,
): string[] {
  const deviceKey = type === 'iak' || type === 'idevid'
  const subject = `${deviceKey ? 'SERIALNUMBER' : 'CN'}=${subjectValue(options.text('vmid') ?? 'unknown')}`
  const args = ['--subject', subject, ...extraOptions]
  for (const name of [
    'tpm2',
    ...(type === 'ek' ? (['allow-signing', 'decryption'] as const) : []),
  ] as const) {
    if (options.has(name)) args.push(`--${name}`)
  }
  for (const name of [
    'tpm-spec-family',
    'tpm-spec-revision',
    'tpm-spec-level',
    'tpm-manufacturer',
    'tpm-model',
    'tpm-version',
    'tpm-serial-num',
  ] as const) {
    const value = options.text(name)
    if (value !== undefined) args.push(`--${name}=${value}`)
  }
  args.push('--type', type, ...keyArguments(options.text('ek') ?? ''))
  return [...args, '--days', '-1', '--serial', String(takeSerial(settings.certSerial))]
}

function keyArguments(key: string): string[] {
  const ecc = /x=([0-9A-Fa-f]+),y=([0-9A-Fa-f]+)(?:,id=([^,]+))?/.exec(key)
  if (ecc === null) return ['--modulus', key]
  const [, x = '', y = '', curve] = ecc
  return ['--ecc-x', x, '--ecc-y', y, ...(curve === undefined ? [] : ['--ecc-curveid', curve])]
}

/** Commas and plus signs separate the parts of a name, so an ID gets underscores in their place. */
export function subjectValue(vmid: string): string {
  return vmid.replace(/,|(?<!\\)\+/g, '_')
}

function certificateType(text: string): CertificateType {
  const type = CERTIFICATE_TYPES.find((name) => name === text)
  if (type === undefined) {
    throw new ToolFailure(
      `Unknown certificate type '${text}': pass --type ${CERTIFICATE_TYPES.join(', ')}${choiceHint(text, CERTIFICATE_TYPES)}`,
    )
  }
  return type
}
