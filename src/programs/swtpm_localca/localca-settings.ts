/** Where the CA keeps its things, from swtpm-localca.conf, with every folder made that is missing. */
import { constants, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { can, canRead, currentUserName } from '../common/access.ts'
import { type ConfigFile, SYSTEM_CONFIG_DIR, userConfigDir } from '../common/config-file.ts'
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

const DEFAULT_PKCS11_PIN = 'swtpm-tpmca'

/** The user's own file when it is there, else the system's. */
export function defaultConfigFile(name: string): string {
  const own = join(userConfigDir(), name)
  return canRead(own) ? own : join(SYSTEM_CONFIG_DIR, name)
}

export function caSettings(config: ConfigFile, log: ToolLog): CaSettings {
  const stateDir = config.required('statedir')
  makeFolder(stateDir, 'statedir', log)
  needReadWrite(stateDir, 'statedir')
  const lockFile = join(stateDir, '.lock.swtpm-localca')
  if (statSync(lockFile, { throwIfNoEntry: false })) needReadWrite(lockFile, 'lockfile')

  // Old configurations hide the semicolons of a URI from a shell.
  const signingKey = config.required('signingkey').replaceAll('\\;', ';')
  const password = config.value('signingkey_password')
  if (isPkcs11Uri(signingKey)) log.info('CA uses a PKCS#11 key; using SWTPM_PKCS11_PIN')
  else makeFolder(dirname(signingKey), 'signkey', log)
  const issuerCert = config.required('issuercert')
  makeFolder(dirname(issuerCert), 'issuercert', log)
  const certSerial = config.value('certserial') ?? join(stateDir, 'certserial')
  makeFolder(dirname(certSerial), 'certserial', log)
  return {
    signingKey,
    signingKeyPassword: password,
    environment: {
      ...process.env,
      SWTPM_PKCS11_PIN: password ?? config.value('SWTPM_PKCS11_PIN') ?? DEFAULT_PKCS11_PIN,
      ...config.environmentEntries(),
    },
    issuerCert,
    certSerial,
    lockFile,
  }
}

/** Only the owner and the group may look into a CA's folder. */
function makeFolder(path: string, purpose: string, log: ToolLog): void {
  if (statSync(path, { throwIfNoEntry: false })) return
  log.info(`Creating swtpm-localca dir '${path}'.`)
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 })
  } catch (error) {
    throw new ToolFailure(`Cannot create directory "${path}" for '${purpose}': ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

function needReadWrite(path: string, what: string): void {
  if (!can(path, constants.R_OK | constants.W_OK)) {
    throw new ToolFailure(
      `Cannot read and write ${what} "${path}" as user ${currentUserName()}: permission denied`,
    )
  }
}
