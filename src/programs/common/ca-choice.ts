/**
 * Which CA makes the certificates: the one of a configuration that was chosen on purpose, else the system's, else, for a user
 * who may not use that, one of their own. It is where `swtpm_setup --create-config-files` has it, so writing a configuration
 * later changes nothing.
 */
import { accessSync, constants } from 'node:fs'
import { type as operatingSystem, version as systemVersion } from 'node:os'
import { dirname, join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { canRead, currentUserName } from './access.ts'
import {
  chooseConfigFile,
  ownConfigFile,
  SYSTEM_CONFIG_DIR,
  systemConfigFile,
  userConfigDir,
} from './config-choice.ts'
import { ConfigFile, readConfigText } from './config-file.ts'
import { ToolFailure } from './tool-failure.ts'

export const CA_CONFIG_NAME = 'swtpm-localca.conf'
export const CERT_OPTIONS_NAME = 'swtpm-localca.options'

const CA_FOLDER = join('var', 'lib', 'swtpm-localca')

export interface CaChoice {
  readonly config: ConfigFile
  /** What the user should know about the choice. */
  readonly remark?: string
}

/** @param given the file on the command line @throws ToolFailure when there is no CA for this user */
export function chooseCa(given: string | undefined): CaChoice {
  if (given !== undefined || ownConfigFile(CA_CONFIG_NAME) !== undefined) {
    return { config: chooseConfigFile(CA_CONFIG_NAME, given) }
  }
  const systemConfig = systemConfigFile(CA_CONFIG_NAME)
  if (process.geteuid?.() === 0) {
    if (systemConfig !== undefined) return { config: ConfigFile.read(systemConfig, 'system') }
    return { config: builtInConfig('/') }
  }
  const obstacle = systemConfig === undefined ? undefined : obstacleToCa(systemConfig)
  if (systemConfig !== undefined && obstacle === undefined) {
    return { config: ConfigFile.read(systemConfig, 'system') }
  }
  const folder = userConfigDir()
  if (folder === undefined) throw new ToolFailure(noCa(obstacle))
  const config = builtInConfig(folder)
  if (obstacle === undefined) return { config }
  return { config, remark: `Using the CA in "${join(folder, CA_FOLDER)}": ${obstacle}` }
}

function noCa(obstacle: string | undefined): string {
  const user = `user ${currentUserName()}`
  const more = obstacle === undefined ? '' : `, and ${obstacle}`
  return `Cannot find a CA for certificates: ${user} has no home directory to keep one in${more}; set XDG_CONFIG_HOME to a directory of this user`
}

/**
 * Why this user cannot use the CA of a configuration, as a part of a sentence; undefined if they can. Only the right to its folder decides: a CA that is theirs and damaged is an error, not a reason for another one.
 * @throws ToolFailure for a configuration that no user can use
 */
export function obstacleToCa(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK)
  } catch (error) {
    return `cannot read "${path}": ${reasonOf(error)}`
  }
  const folder = ConfigFile.read(path, 'system').required('statedir')
  for (let existing = folder; ; existing = dirname(existing)) {
    try {
      accessSync(existing, constants.R_OK | constants.W_OK | constants.X_OK)
      return undefined
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT' && existing !== dirname(existing)
      if (!missing) return `cannot use "${folder}" of "${path}": ${reasonOf(error)}`
    }
  }
}

/** The settings of the CA that belongs to a folder with configuration files. */
export function caSettingsIn(folder: string): {
  readonly [name in 'statedir' | 'signingkey' | 'issuercert' | 'certserial']: string
} {
  const ca = join(folder, CA_FOLDER)
  return {
    statedir: ca,
    signingkey: join(ca, 'signkey.pem'),
    issuercert: join(ca, 'issuercert.pem'),
    certserial: join(ca, 'certserial'),
  }
}

const builtInConfig = (folder: string): ConfigFile =>
  ConfigFile.builtIn(join(SYSTEM_CONFIG_DIR, CA_CONFIG_NAME), caSettingsIn(folder))

/** Options for certificates that say on which system a virtual machine runs. */
export function platformOptionsText(): string {
  const underscored = (text: string): string => text.replaceAll(' ', '_')
  return [
    `--platform-manufacturer ${underscored(operatingSystem())}`,
    `--platform-version ${underscored(systemVersion())}`,
    `--platform-model ${underscored(operatingSystem())}`,
    '',
  ].join('\n')
}

export interface CertOptionsFile {
  /** For messages. */
  readonly path: string
  readonly text: string
}

/** @param given the file on the command line @throws ToolFailure */
export function chooseCertOptions(given: string | undefined): CertOptionsFile {
  const chosen = given ?? ownConfigFile(CERT_OPTIONS_NAME)
  const path = chosen ?? join(SYSTEM_CONFIG_DIR, CERT_OPTIONS_NAME)
  if (chosen === undefined && !canRead(path)) return { path, text: platformOptionsText() }
  return { path, text: readConfigText(path, 'options file') }
}
