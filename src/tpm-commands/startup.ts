/** The commands that the supervisor sends itself: Startup and self-test, of both versions. */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { TPM_SU_CLEAR, TPM_SU_STATE } from '../tpm-structures/codes.ts'
import { TPM_CC, TPM_ORD } from '../tpm-structures/command-codes.ts'
import { u8, u16 } from './bytes.ts'
import { tpm2Command, tpm12Command } from './command.ts'

/** How a TPM is told to start: from a clear state, from the saved one, or (TPM 1.2) deactivated. */
export type StartupType = 'clear' | 'state' | 'deactivated'

const TPM_SU = { clear: TPM_SU_CLEAR, state: TPM_SU_STATE } as const
const TPM_ST = { clear: 1, state: 2, deactivated: 3 } as const

/**
 * TPM_Startup or TPM2_Startup.
 * @throws RangeError for `deactivated` on a TPM 2.0, which has no such start.
 */
export function startupCommand(version: TpmVersion, type: StartupType): Buffer {
  if (version === '1.2') return tpm12Command(TPM_ORD.Startup, u16(TPM_ST[type]))
  if (type === 'deactivated') throw new RangeError('a TPM 2.0 has no startup-deactivated')
  return tpm2Command(TPM_CC.Startup, u16(TPM_SU[type]))
}

/** TPM2_SelfTest of what is not tested yet, or TPM_ContinueSelfTest, which is the same. */
export const selfTestCommand = (version: TpmVersion): Buffer =>
  version === '2' ? tpm2Command(TPM_CC.SelfTest, u8(0)) : tpm12Command(TPM_ORD.ContinueSelfTest)
