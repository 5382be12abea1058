/** What an engine is handed before its TPM is powered on, and must not be an argument: keys, and the profile. */

import type { KeySlot } from '../../contract/engine-channel.ts'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import type { EngineClient } from '../engine-client/engine-client.ts'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { readStateKey } from '../tpm/state/state-key.ts'
import type { CommonConfig } from './config.ts'
import { readProfile } from './profile.ts'

export class EngineSecrets {
  readonly #keys: (readonly [purpose: KeySlot, key: Buffer])[] = []
  readonly #profile: string | undefined

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
    if (this.#profile !== undefined && (await engine.setProfile(this.#profile)) !== TPM_SUCCESS) {
      throw new SwtpmError('SWTPM_ERR_PROFILE', 'Cannot use --profile: it needs libtpms 0.10 or later')
    }
  }

  /** Of keys that have not been handed over. */
  wipe(): void {
    for (const [, key] of this.#keys.splice(0)) key.fill(0)
  }
}
