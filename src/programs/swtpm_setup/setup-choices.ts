/** What the configuration and the TPM at hand decide where the command line is silent. */
import type { ConfigFile } from '../common/config-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import {
  KEY_ALGORITHM_CHOICES,
  type KeyAlgorithm,
  keyAlgorithm,
  keyLabel,
} from '../common/tpm-keys/key-algorithms.ts'
import { DEFAULT_PCR_BANKS } from './pcr-banks.ts'
import { chosenProfile } from './profile-choice.ts'
import type { Profile } from './profiles.ts'
import type { SetupOptions } from './setup-options.ts'
import type { Task } from './setup-task.ts'
import type { TpmFeatures } from './tpm-features.ts'

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
    profile: task.reconfigure ? undefined : chosenProfile(options, config, features),
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
