/** What swtpm_ioctl does when the TPM refuses. */
import { TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import type { Outcome, Response, VerbName } from '../../../contract/verbs.ts'
import { namedVerbResult } from '../../tpm-structures/result-codes.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** @throws ToolFailure with the line that scripts compare: `TPM result from PTM_INIT: 0xa`, and the name behind it */
export function checkResult<V extends VerbName>(verb: V, outcome: Outcome<V>): Response<V> {
  const tpmResult = 'tpmResult' in outcome ? (outcome.tpmResult as number) : TPM_SUCCESS
  if (tpmResult === TPM_SUCCESS) return outcome as Response<V>
  throw new ToolFailure(`TPM result from PTM_${verb}: ${namedVerbResult(tpmResult)}`)
}
