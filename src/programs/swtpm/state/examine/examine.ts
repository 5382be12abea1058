/** Has a copy of a TPM tell what is in it. */
import type { TpmVersion } from '../../../../../contract/engine-options.ts'
import type { Contents } from './contents.ts'
import { type PlainStates, withCopy } from './copied-tpm.ts'
import { tpm2Contents } from './tpm2-contents.ts'
import { tpm12Contents } from './tpm12-contents.ts'

/** @param states with the permanent one @throws StateFault */
export const examine = (version: TpmVersion, states: PlainStates): Promise<Contents> =>
  withCopy(version, states, (tpm) =>
    (version === '2' ? tpm2Contents : tpm12Contents)(tpm, states.volatile !== undefined),
  )
