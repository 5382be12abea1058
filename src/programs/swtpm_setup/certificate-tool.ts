/** Which program makes the certificates, and with which files: what the configuration says, as far as it can be used. */
import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { installedFile } from '../../system/paths.ts'
import { reasonOf } from '../../system/reason.ts'
import { canRead, currentUserName, findProgram } from '../common/access.ts'
import { CA_CONFIG_NAME, CERT_OPTIONS_NAME, obstacleToCa } from '../common/ca-choice.ts'
import { ownConfigFile } from '../common/config-choice.ts'
import { type ConfigFile, writeOwnConfig } from '../common/config-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** What swtpm_setup.conf may set. */
export const SETUP_SETTINGS = [
  ...['create_certs_tool', 'create_certs_tool_config', 'create_certs_tool_options', 'active_pcr_banks'],
  ...['rsa_keysize', 'ek1keyalgo', 'ek2keyalgo', 'iakkeyalgo', 'idevidkeyalgo', 'profile', 'profile_file'],
  'local_profiles_dir',
]

const LOCALCA = 'swtpm_localca'

export interface CertificateTool {
  readonly program: string
  readonly args: readonly string[]
  /** What the user should know about the choice. */
  readonly remarks: readonly string[]
}

/** @throws ToolFailure when the program cannot be run */
export function certificateTool(config: ConfigFile): CertificateTool {
  const caConfig = config.value('create_certs_tool_config')
  const certOptions = config.value('create_certs_tool_options')
  const all = [
    ['--configfile', caConfig],
    ['--optsfile', certOptions],
  ] as const
  const { program, remarks } = programOf(config)
  if (basename(program) !== LOCALCA) return { program, args: argumentsOf(all), remarks }
  const obstacle = caConfig === undefined || isRoot() ? undefined : obstacleToCa(caConfig)
  if (config.origin !== 'system') {
    if (obstacle === undefined) return { program, args: argumentsOf(all), remarks }
    throw new ToolFailure(
      `Cannot make certificates after "${config.path}": ${obstacle}; name another create_certs_tool_config in it, or leave it alone: ${writeOwnConfig()}`,
    )
  }

  // The system's defaults are for those who may use its CA. Others get what swtpm_localca chooses without them: their own.
  const ownCa = ownConfigFile(CA_CONFIG_NAME) !== undefined
  const ownOptions = ownConfigFile(CERT_OPTIONS_NAME) !== undefined
  const mayUseOptions = certOptions === undefined || canRead(certOptions)
  return {
    // Of the programs of that name only ours knows what to do without a configuration.
    program: ownCa || obstacle === undefined ? program : ownLocalca(),
    args: argumentsOf([
      ['--configfile', ownCa || obstacle !== undefined ? undefined : caConfig],
      ['--optsfile', ownOptions || !mayUseOptions ? undefined : certOptions],
    ]),
    remarks,
  }
}

const isRoot = (): boolean => process.geteuid?.() === 0

const argumentsOf = (options: readonly (readonly [string, string | undefined])[]): string[] =>
  options.flatMap(([option, value]) => (value === undefined ? [] : [option, value]))

/** The swtpm_localca of this installation. */
const ownLocalca = (): string => installedFile(`bin/${LOCALCA}`, 'npm run build')

function programOf(config: ConfigFile): { readonly program: string; readonly remarks: readonly string[] } {
  const configured = config.value('create_certs_tool')
  if (configured === undefined) return { program: ownLocalca(), remarks: [] }
  const found = findProgram(configured)
  if (found !== undefined) return { program: found, remarks: [] }
  const reason = whyNotFound(configured)
  const origin = `create_certs_tool of "${config.path}"`
  // A configuration that an uninstalled package left behind, or one from before a move.
  if (reason === undefined && basename(configured) === LOCALCA) {
    const program = ownLocalca()
    return { program, remarks: [`Using "${program}": "${configured}", ${origin}, is not there`] }
  }
  throw new ToolFailure(
    `Cannot run "${configured}", ${origin}: ${reason ?? 'it is not there'}; correct the line, or leave it out to use ${LOCALCA}`,
  )
}

/** Undefined when there is no such program at all. */
function whyNotFound(program: string): string | undefined {
  if (!program.includes('/')) return undefined
  try {
    if (statSync(program).isDirectory()) return 'it is a directory'
    return `user ${currentUserName()} may not execute it`
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : reasonOf(error)
  }
}
