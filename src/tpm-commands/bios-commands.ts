/**
 * The other TPM commands that a BIOS sends.
 * @see TPM 1.2 Part 3: 6.2 TPM_ContinueSelfTest, 7.1 TPM_GetCapability; TPM 2.0 Part 3: 10.3 TPM2_IncrementalSelfTest,
 * 24.8 TPM2_HierarchyChangeAuth
 */

import { TPM_ALG, TPM_HANDLES } from '../tpm-structures/codes.ts'
import { TPM_CC } from '../tpm-structures/command-codes.ts'
import { sized16, u16, u32 } from './bytes.ts'
import { emptyPasswordContinued, tpm2Authorized, tpm2Command, tpmHeader } from './command.ts'

export { getPermanentFlags } from './tpm12-capabilities.ts'

/** Whether the answer to {@link getPermanentFlags} says that the TPM is deactivated. @see TPM 1.2 Part 2, 7.1 */
export function isDeactivated(response: Buffer): boolean {
  // u32 size, u16 tag of TPM_PERMANENT_FLAGS, then one byte for each flag: disable, ownership, deactivated.
  const deactivated = tpmHeader.size + 4 + 2 + 2
  return (response[deactivated] ?? 0) !== 0
}

export const incrementalSelfTest = (): Buffer =>
  tpm2Command(TPM_CC.IncrementalSelfTest, u32(1), u16(TPM_ALG.SHA256))

/** Gives the platform hierarchy a password instead of its empty one. */
export const setPlatformPassword = (password: Buffer): Buffer =>
  tpm2Authorized(
    TPM_CC.HierarchyChangeAuth,
    [TPM_HANDLES.PLATFORM],
    [sized16(password)],
    emptyPasswordContinued(),
  )
