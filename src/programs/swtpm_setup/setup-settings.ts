/** What a setup shall do: the command line checked against itself, the configuration and the TPM at hand. */
import { constants, fstatSync } from 'node:fs'
import { canRead, currentUserName, requireDirectory } from '../common/access.ts'
import type { ConfigFile } from '../common/config-file.ts'
import type { GivenOptions } from '../common/options/given-options.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import {
  type EkUse,
  KEY_ALGORITHM_CHOICES,
  type KeyAlgorithm,
  keyAlgorithm,
  keyLabel,
} from './key-templates.ts'
import { DEFAULT_PCR_BANKS } from './pcr-banks.ts'
import { checkProfile, type Profile, profileByName, profileFromFile } from './profiles.ts'
import type { SETUP_OPTIONS } from './setup-options.ts'
import { StateLocation } from './state-to-set-up.ts'
import type { TpmFeatures } from './tpm-features.ts'
import type { PassedFd } from './tpm-process.ts'

export type SetupOptions = GivenOptions<typeof SETUP_OPTIONS>
type OptionName = keyof typeof SETUP_OPTIONS

/** What needs no TPM and no configuration: wrong combinations end here, before anything is touched. */
export interface Task {
  readonly tpm2: boolean
  readonly state: StateLocation
  readonly reconfigure: boolean
  readonly existingState: 'erase' | 'keep' | 'refuse'
  readonly createEk: boolean
  readonly ekCert: boolean
  readonly platformCert: boolean
  readonly createSpk: boolean
  readonly eccSpk: boolean
  readonly ekUse: EkUse
  readonly lockNvram: boolean
  readonly display: boolean
  readonly vmid: string | undefined
  readonly ekCertDir: string | undefined
  readonly ownership:
    | { readonly ownerPassword: string | undefined; readonly srkPassword: string | undefined }
    | undefined
  readonly encryption: Encryption | undefined
}

export interface Encryption {
  readonly args: readonly string[]
  readonly passedFds: readonly PassedFd[]
  readonly message: string
}

const NEEDS_TPM2: readonly OptionName[] = [
  'ecc',
  'create-spk',
  'reconfigure',
  'allow-signing',
  'decryption',
  'pcr-banks',
  'iakkeyalgo',
  'idevidkeyalgo',
]
const PROFILE_OPTIONS = ['profile', 'profile-name', 'profile-file', 'profile-file-fd'] as const
const CIPHERS = ['aes-128-cbc', 'aes-cbc', 'aes-256-cbc']

const DEFAULT_OWNER_PASSWORD = 'ooo'
const DEFAULT_SRK_PASSWORD = 'sss'

/** @throws ToolFailure */
export function setupTask(options: SetupOptions): Task {
  const stateText = options.text('tpm-state')
  if (stateText === undefined)
    throw new ToolFailure('--tpm-state must be provided: the directory for the TPM state')
  const state = new StateLocation(stateText)
  state.requireAccess()
  const ekCertDir = options.text('write-ek-cert-files')
  if (ekCertDir !== undefined) requireDirectory(ekCertDir, constants.W_OK)

  const tpm2 = options.has('tpm2')
  if (tpm2 && options.has('take-ownership')) {
    throw new ToolFailure('Taking ownership is not supported for TPM 2.')
  }
  const needy = tpm2 ? undefined : NEEDS_TPM2.find((name) => options.has(name))
  if (needy !== undefined) throw new ToolFailure(`--${needy} requires --tpm2.`)
  const profileOptions = PROFILE_OPTIONS.filter((name) => options.has(name))
  if (!tpm2 && profileOptions.length > 0) throw new ToolFailure("There's no --profile support for TPM 1.2")
  if (profileOptions.length > 1) {
    throw new ToolFailure(
      `Only one of ${PROFILE_OPTIONS.map((name) => `--${name}`).join(', ')} may be given.`,
    )
  }

  const ekCert = options.has('create-ek-cert')
  const platformCert = options.has('create-platform-cert')
  const takeOwnership = options.has('take-ownership')
  const createEk = options.has('createek') || ekCert || platformCert || takeOwnership
  const reconfigure = options.has('reconfigure')
  if (reconfigure && createEk) {
    throw new ToolFailure('Reconfiguration is not supported with creation of EK or certificates')
  }
  if (reconfigure && profileOptions.length > 0) {
    throw new ToolFailure('Reconfiguration does not accept a (new) profile.')
  }

  return {
    tpm2,
    state,
    reconfigure,
    existingState: options.has('not-overwrite') ? 'keep' : options.has('overwrite') ? 'erase' : 'refuse',
    createEk,
    ekCert,
    platformCert,
    createSpk: options.has('create-spk'),
    eccSpk: options.has('ecc'),
    ekUse: { allowSigning: options.has('allow-signing'), decryption: options.has('decryption') },
    lockNvram: options.has('lock-nvram'),
    display: options.has('display'),
    vmid: options.text('vmid'),
    ekCertDir,
    ownership: takeOwnership
      ? {
          ownerPassword: password(options, 'ownerpass', 'owner-well-known', DEFAULT_OWNER_PASSWORD),
          srkPassword: password(options, 'srkpass', 'srk-well-known', DEFAULT_SRK_PASSWORD),
        }
      : undefined,
    encryption: encryption(options),
  }
}

/** @returns undefined for the well-known password */
function password(
  options: SetupOptions,
  given: OptionName,
  wellKnown: OptionName,
  fallback: string,
): string | undefined {
  return options.text(given) ?? (options.has(wellKnown) ? undefined : fallback)
}

function encryption(options: SetupOptions): Encryption | undefined {
  const cipher = options.text('cipher') ?? 'aes-128-cbc'
  if (!CIPHERS.includes(cipher)) {
    throw new ToolFailure(`Unsupported cipher ${cipher}; use ${CIPHERS.join(', ')}`)
  }
  const [keyFile, passwordFile] = [options.text('keyfile'), options.text('pwdfile')]
  const byKey = "The TPM's state will be encrypted with a provided key"
  const byPassword = "The TPM's state will be encrypted using a key derived from a passphrase"
  if (keyFile !== undefined) {
    needReadable(keyFile, 'keyfile')
    return { args: ['--key', `file=${keyFile},mode=${cipher}`], passedFds: [], message: `  ${byKey}.` }
  }
  if (passwordFile !== undefined) {
    needReadable(passwordFile, 'passphrase file')
    return {
      args: ['--key', `pwdfile=${passwordFile},mode=${cipher}`],
      passedFds: [],
      message: `  ${byPassword}.`,
    }
  }
  for (const [name, subOption, message] of [
    ['keyfile-fd', 'fd', byKey],
    ['pwdfile-fd', 'pwdfd', byPassword],
  ] as const) {
    const text = options.text(name)
    if (text === undefined) continue
    const option = (number: number): string[] => ['--key', `${subOption}=${number},mode=${cipher}`]
    return {
      args: [],
      passedFds: [{ fd: openDescriptor(name, text), option }],
      message: `  ${message} (fd).`,
    }
  }
  return undefined
}

function openDescriptor(option: OptionName, text: string): number {
  try {
    if (!/^\d+$/.test(text)) throw new RangeError('not a number')
    fstatSync(Number(text))
    return Number(text)
  } catch {
    throw new ToolFailure(`Invalid file descriptor '${text}' of --${option}: give the number of an open one`)
  }
}

function needReadable(path: string, what: string): void {
  if (!canRead(path)) throw new ToolFailure(`User ${currentUserName()} cannot read ${what} ${path}.`)
}

/** What the configuration decides where the command line is silent. */
export interface Choices {
  readonly pcrBanks: string
  readonly ekAlgorithms: readonly KeyAlgorithm[]
  readonly iakAlgorithm: KeyAlgorithm | undefined
  readonly idevidAlgorithm: KeyAlgorithm | undefined
  readonly profile: Profile | undefined
  readonly removeDisabled: string | undefined
}

/** @throws ToolFailure for what the TPM at hand cannot do */
export function setupChoices(
  options: SetupOptions,
  task: Task,
  config: ConfigFile,
  features: TpmFeatures,
): Choices {
  const banks = options.all('pcr-banks').join(',')
  const pcrBanks =
    banks.replaceAll(/[\s,]/g, '') === '' ? (config.value('active_pcr_banks') ?? DEFAULT_PCR_BANKS) : banks
  if (!task.tpm2) {
    rsaAlgorithm(options.text('rsa-keysize') ?? '2048', features)
    return {
      pcrBanks,
      ekAlgorithms: [],
      iakAlgorithm: undefined,
      idevidAlgorithm: undefined,
      profile: undefined,
      removeDisabled: undefined,
    }
  }
  const chosen = (
    name: 'ek1keyalgo' | 'ek2keyalgo' | 'iakkeyalgo' | 'idevidkeyalgo',
  ): KeyAlgorithm | undefined => algorithm(name, options.text(name) ?? config.value(name), features)

  const first =
    chosen('ek1keyalgo') ??
    rsaAlgorithm(options.text('rsa-keysize') ?? config.value('rsa_keysize') ?? '2048', features)
  const second = chosen('ek2keyalgo') ?? 'secp384r1'
  const [iakAlgorithm, idevidAlgorithm] =
    task.reconfigure || options.has('no-iak')
      ? [undefined, undefined]
      : [chosen('iakkeyalgo'), chosen('idevidkeyalgo')]
  if ((iakAlgorithm !== undefined || idevidAlgorithm !== undefined) && !task.ekCert) {
    throw new ToolFailure(
      'When creating IAK and/or IDevID keys, then an EK certificate must be created as well: pass --create-ek-cert',
    )
  }
  return {
    pcrBanks,
    ekAlgorithms: first === second ? [first] : [first, second],
    iakAlgorithm,
    idevidAlgorithm,
    profile: task.reconfigure ? undefined : profile(options, config, features),
    removeDisabled: options.text('profile-remove-disabled'),
  }
}

function algorithm(
  option: string,
  name: string | undefined,
  features: TpmFeatures,
): KeyAlgorithm | undefined {
  if (name === undefined) return undefined
  const found = keyAlgorithm(name)
  if (found === undefined) {
    throw new ToolFailure(
      `Key algorithm ${name} of ${option} is not supported; use ${KEY_ALGORITHM_CHOICES.join(', ')}`,
    )
  }
  needKeySize(found, features)
  return found
}

function rsaAlgorithm(size: string, features: TpmFeatures): KeyAlgorithm {
  const bits = size === 'max' ? String(features.rsaKeySizes.at(-1)) : size
  const found = keyAlgorithm(`rsa${bits}`)
  if (found === undefined)
    throw new ToolFailure(`Unsupported RSA key size ${bits}; use 2048, 3072, 4096 or max.`)
  needKeySize(found, features)
  return found
}

function needKeySize(found: KeyAlgorithm, features: TpmFeatures): void {
  const bits = /^rsa(\d+)$/.exec(found)?.[1]
  if (bits !== undefined && bits !== '2048' && !features.rsaKeySizes.includes(Number(bits))) {
    throw new ToolFailure(
      `${bits} bit RSA keys are not supported by libtpms; ${keyLabel('rsa2048')} always is, it has ${features.rsaKeySizes.join(', ')}`,
    )
  }
}

function profile(options: SetupOptions, config: ConfigFile, features: TpmFeatures): Profile | undefined {
  const given = givenProfile(options, config) ?? defaultProfile(config, features)
  if (given === undefined) return undefined
  if (!features.has('cmdarg-profile')) {
    throw new ToolFailure(
      'This swtpm has no profiles: libtpms 0.10 or later is needed; leave the profile out',
    )
  }
  if ('json' in given) checkProfile(given.json, features)
  return given
}

function givenProfile(options: SetupOptions, config: ConfigFile): Profile | undefined {
  const [json, name, file, fd] = PROFILE_OPTIONS.map((option) => options.text(option))
  if (json !== undefined) return { json }
  if (name !== undefined) return profileByName(name, config)
  if (file !== undefined) return profileFromFile(file)
  if (fd !== undefined) return { fd: openDescriptor('profile-file-fd', fd) }
  return undefined
}

/** A configured default is no demand: a TPM without profiles is what such a configuration had before it. */
function defaultProfile(config: ConfigFile, features: TpmFeatures): Profile | undefined {
  if (!features.has('cmdarg-profile')) return undefined
  const file = config.value('profile_file')
  if (file !== undefined) return profileFromFile(file)
  const json = config.value('profile')
  return json === undefined ? undefined : { json }
}
