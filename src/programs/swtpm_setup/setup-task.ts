/** The part of a setup that the command line alone decides. Wrong combinations are refused before anything changes. */
import { constants } from 'node:fs'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { requireDirectory } from '../common/access.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { statePlace } from './given-state-place.ts'
import type { EkUse } from './key-templates.ts'
import { PROFILE_OPTIONS } from './profile-choice.ts'
import type { OptionName, SetupOptions } from './setup-options.ts'
import { type StateEncryption, stateEncryption } from './state-encryption.ts'
import type { StatePlace } from './state-place.ts'

export interface Task {
  readonly tpm2: boolean
  readonly version: TpmVersion
  readonly state: StatePlace
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
  readonly takeOwnership: boolean
  /** Of a TPM 1.2; undefined: the well-known password. */
  readonly ownership: { readonly ownerPassword: string | undefined; readonly srkPassword: string | undefined }
  readonly encryption: StateEncryption | undefined
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

const DEFAULT_OWNER_PASSWORD = 'ooo'
const DEFAULT_SRK_PASSWORD = 'sss'

/** @throws ToolFailure */
export function setupTask(options: SetupOptions): Task {
  const stateText = options.text('tpm-state')
  if (stateText === undefined)
    throw new ToolFailure('--tpm-state must be provided: the directory for the TPM state')
  const state = statePlace(stateText)
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
    version: tpm2 ? '2' : '1.2',
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
    takeOwnership,
    ownership: {
      ownerPassword: password(options, 'ownerpass', 'owner-well-known', DEFAULT_OWNER_PASSWORD),
      srkPassword: password(options, 'srkpass', 'srk-well-known', DEFAULT_SRK_PASSWORD),
    },
    encryption: stateEncryption(options),
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
