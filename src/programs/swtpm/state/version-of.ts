/** Which version of TPM is in a place that does not say so by its names. */
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { versionOfBlob } from '../../../tpm/state/linear/linear-header.ts'
import type { StoredTpm } from '../../../tpm/state/stored/stored-tpm.ts'
import { ToolFailure } from '../../common/tool-failure.ts'

/** @throws ToolFailure where an encrypted state hides it */
export function versionOf({ place, blobs }: StoredTpm, given?: TpmVersion): TpmVersion {
  const permanent = blobs.find(({ type }) => type === 'permanent')
  const version = given ?? (permanent && versionOfBlob(permanent.bytes))
  if (version !== undefined) return version
  throw new ToolFailure(`Cannot tell whether the TPM in "${place.path}" is a TPM 2.0: say --tpm2 or --tpm12`)
}
