/** What an engine is handed before its TPM is powered on, and must not be an argument: keys, and the profile. */

import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import type { EngineClient } from '../engine-client/engine-client.ts'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { readStateKey } from '../tpm/state/state-key.ts'
import type { CommonConfig } from './config.ts'
import { readProfile } from './profile.ts'

/** Reads the keys and hands them over. @throws SwtpmError */
export async function giveKeys(engine: EngineClient, { fileKey, migrationKey }: CommonConfig): Promise<void> {
  for (const [purpose, source] of [
    ['file', fileKey],
    ['migration', migrationKey],
  ] as const) {
    if (source === undefined) continue
    const key = readStateKey(source, (warning) => log.warn(warning))
    const result = await engine.setKey(purpose, key).finally(() => key.fill(0))
    if (result !== TPM_SUCCESS) {
      throw new SwtpmError(
        'SWTPM_ERR_STATE_KEY',
        `Cannot use the ${purpose} key: the engine refused it with result ${result}`,
      )
    }
  }
}

/** Hands over the profile that a new TPM 2.0 is to have. @throws SwtpmError SWTPM_ERR_PROFILE */
export async function giveProfile(
  engine: EngineClient,
  { profile, tpmVersion }: CommonConfig,
): Promise<void> {
  if (profile === undefined || tpmVersion !== '2') return
  if ((await engine.setProfile(readProfile(profile))) !== TPM_SUCCESS) {
    throw new SwtpmError('SWTPM_ERR_PROFILE', 'Cannot use --profile: it needs libtpms 0.10 or later')
  }
}
