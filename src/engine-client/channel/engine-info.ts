/** What an engine, asked without a TPM, says of itself and its libtpms. */

import { spawnSync } from 'node:child_process'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { SwtpmError } from '../../system/errors.ts'
import { REMEDIES } from '../../system/missing-things.ts'
import { reasonOf } from '../../system/reason.ts'
import { engineEnvironment, enginePath } from './engine-program.ts'

/** What `tpm-engine --print-info FLAGS` prints: the libtpms at hand, and what it says of the chosen TPM version. */
export interface EngineInfo {
  /** Version of libtpms, `0.9.2`. */
  readonly libtpms: string
  readonly tpm12: boolean
  readonly tpm2: boolean
  /** The engine was built with seccomp; absent: it was. */
  readonly seccomp?: boolean
  /** TPMLIB_GetInfo() of the flags that were asked for, {@link CAPABILITY_INFO_FLAGS}. */
  readonly info: LibtpmsInfo | null
  /** TPMLIB_GetInfo() of the available profiles; null when libtpms has none (before 0.10). */
  readonly profiles: LibtpmsInfo | null
}

/** The members of TPMLIB_GetInfo()'s object that matter here. */
export interface LibtpmsInfo {
  readonly TPMFeatures?: { readonly RSAKeySizes?: readonly number[] }
  readonly AvailableProfiles?: readonly { readonly Name: string; readonly Algorithms?: string }[]
  readonly RuntimeAlgorithms?: Changeable
  readonly RuntimeCommands?: Changeable
}

export interface Changeable {
  readonly CanBeDisabled: string
  readonly Implemented: string
}

/**
 * Asks an engine, without a TPM, what it and libtpms can do.
 * @param flags TPMLIB_GetInfo flags
 */
export function engineInfo(flags: number, tpmVersion: TpmVersion): EngineInfo {
  const path = enginePath()
  const result = spawnSync(path, ['--print-info', String(flags), '--tpm', tpmVersion], {
    encoding: 'utf8',
    env: engineEnvironment(),
  })
  if (result.status !== 0) {
    const why = result.error === undefined ? result.stderr.trim() : reasonOf(result.error)
    const hint = /libtpms\.so/.test(why) ? `; \`${REMEDIES.libtpms.command}\`` : ''
    throw new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot ask "${path}" what it supports: ${why}${hint}`)
  }
  return JSON.parse(result.stdout) as EngineInfo
}
