/** Where the CA keeps its things, from swtpm-localca.conf, with every folder made that is missing. */

import { accessSync, constants, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { makeDirectories } from '../../system/make-directories.ts'
import { reasonOf } from '../../system/reason.ts'
import { type ConfigFile, writeOwnConfig } from '../common/config-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import { isPkcs11Uri } from '../swtpm_cert/pkcs11.ts'

export interface CaSettings {
  readonly signingKey: string
  readonly signingKeyPassword: string | undefined
  readonly issuerCert: string
  readonly certSerial: string
  /** What a PKCS #11 module needs to find its tokens, and the PIN. */
  readonly environment: NodeJS.ProcessEnv
  readonly lockFile: string
}

/** What swtpm-localca.conf may set. Of the last three, which were for the TPM of the host, nothing is read. */
export const CA_SETTINGS = [
  ...['statedir', 'signingkey', 'signingkey_password', 'issuercert', 'certserial', 'SWTPM_PKCS11_PIN'],
  ...['parentkey_password', 'TSS_TCSD_HOSTNAME', 'TSS_TCSD_PORT'],
]

const DEFAULT_PKCS11_PIN = 'swtpm-tpmca'

/** @throws ToolFailure */
export function caSettings(config: ConfigFile, log: ToolLog): CaSettings {
  const stateDir = resolve(config.required('statedir'))
  // Old configurations hide the semicolons of a URI from a shell.
  const keyText = config.required('signingkey').replaceAll('\\;', ';')
  const onToken = isPkcs11Uri(keyText)
  const signingKey = onToken ? keyText : resolve(keyText)
  const password = config.value('signingkey_password')
  const issuerCert = resolve(config.required('issuercert'))
  const certSerial = resolve(config.value('certserial') ?? join(stateDir, 'certserial'))
  const pin = password ?? config.value('SWTPM_PKCS11_PIN') ?? DEFAULT_PKCS11_PIN

  if (onToken) log.info('CA uses a PKCS#11 key; using SWTPM_PKCS11_PIN')
  // The folder with the lock is first: without the right to it nothing is made.
  for (const [folder, purpose] of [
    [stateDir, 'statedir'],
    [onToken ? stateDir : dirname(signingKey), 'signingkey'],
    [dirname(issuerCert), 'issuercert'],
    [dirname(certSerial), 'certserial'],
  ] as const) {
    makeFolder(folder, purpose, config, log)
    if (purpose === 'statedir') needFullAccess(folder, purpose, config)
  }
  return {
    signingKey,
    signingKeyPassword: password,
    environment: { ...process.env, SWTPM_PKCS11_PIN: pin, ...config.environmentEntries() },
    issuerCert,
    certSerial,
    lockFile: join(stateDir, '.lock.swtpm-localca'),
  }
}

/** Only the owner and the group may look into a CA's folder. */
function makeFolder(path: string, setting: string, config: ConfigFile, log: ToolLog): void {
  const action = `Cannot make directory "${path}" for ${setting}`
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return
    log.info(`Creating swtpm-localca dir '${path}'.`)
    makeDirectories(path, 0o750)
  } catch (error) {
    throw new ToolFailure(`${action}: ${reasonOf(error)}; ${wayOut(config)}`, { cause: error })
  }
}

function needFullAccess(path: string, setting: string, config: ConfigFile): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new ToolFailure(
      `Cannot read and write in ${setting} "${path}": ${reasonOf(error)}; ${wayOut(config)}`,
      { cause: error },
    )
  }
}

/** What a user can do who may not use the folders of a configuration. */
function wayOut({ origin, path }: ConfigFile): string {
  switch (origin) {
    case 'given':
    case 'system':
      return `name another one in "${path}", or leave that alone: ${writeOwnConfig()}`
    case 'user':
      return `name another one in "${path}"`
    case 'none':
      return 'set XDG_CONFIG_HOME to a directory that you may write to'
  }
}
