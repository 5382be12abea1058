/** What an engine is handed before its TPM is powered on, and must not be an argument: keys, and the profile. */

import type { KeySlot } from '../../contract/engine-channel.ts'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import { INFO_AVAILABLE_PROFILES } from '../../contract/verb-structures.ts'
import type { LibtpmsInfo } from '../engine-client/channel/engine-info.ts'
import type { EngineClient } from '../engine-client/engine-client.ts'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { readStateKey } from '../tpm/state/state-key.ts'
import type { CommonConfig } from './config.ts'
import { type Profile, readProfile } from './profile.ts'

export class EngineSecrets {
  readonly #keys: (readonly [purpose: KeySlot, key: Buffer])[] = []
  readonly #profile: Profile | undefined

  /** Reads them, the keys once: their files may be removed, and descriptors are empty then. @throws SwtpmError */
  constructor({ fileKey, migrationKey, profile, tpmVersion }: CommonConfig) {
    for (const [purpose, source] of [
      ['file', fileKey],
      ['migration', migrationKey],
    ] as const) {
      if (source !== undefined)
        this.#keys.push([purpose, readStateKey(source, (warning) => log.warn(warning))])
    }
    this.#profile = profile === undefined || tpmVersion !== '2' ? undefined : readProfile(profile)
  }

  /** Hands them over; the keys are not kept. @throws SwtpmError SWTPM_ERR_STATE_KEY, SWTPM_ERR_PROFILE */
  async giveTo(engine: EngineClient): Promise<void> {
    for (const [purpose, key] of this.#keys.splice(0)) {
      const result = await engine.setKey(purpose, key).finally(() => key.fill(0))
      if (result !== TPM_SUCCESS) {
        throw new SwtpmError(
          'SWTPM_ERR_STATE_KEY',
          `Cannot use the ${purpose} key: the engine refused it with result ${result}`,
        )
      }
    }
    if (this.#profile === undefined) return
    const text = await this.#profile.forHost({
      refusedCrypto: () => engine.checkCrypto(),
      customAlgorithms: () => customAlgorithms(engine),
    })
    if ((await engine.setProfile(text)) !== TPM_SUCCESS) {
      throw new SwtpmError('SWTPM_ERR_PROFILE', 'Cannot use --profile: it needs libtpms 0.10 or later')
    }
  }

  /** Of keys that have not been handed over. */
  wipe(): void {
    for (const [, key] of this.#keys.splice(0)) key.fill(0)
  }
}

async function customAlgorithms(engine: EngineClient): Promise<string | undefined> {
  const info = await engine.verb('GET_INFO', { flags: BigInt(INFO_AVAILABLE_PROFILES), offset: 0, pad: 0 })
  if (!('buffer' in info)) return undefined
  const { AvailableProfiles = [] }: LibtpmsInfo = JSON.parse(info.buffer.toString('utf8', 0, info.length - 1))
  return AvailableProfiles.find(({ Name }) => Name === 'custom')?.Algorithms
}
