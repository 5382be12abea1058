/** Which of the states libtpms has written, by its first bytes. */
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import type { BlobType } from '../../../../contract/state-blobs.ts'

/** Behind the 16 bits of a version. @see libtpms, NVMarshal.c: PERSISTENT_ALL_MAGIC, VOLATILE_STATE_MAGIC */
const TPM2_MAGIC: ReadonlyMap<number, BlobType> = new Map([
  [0xab364723, 'permanent'],
  [0x45637889, 'volatile'],
])
/** TPM_TAG_NVSTATE_V1 and the like begin all states of a TPM 1.2; then the permanent one has the tag of TPM_PERMANENT_DATA. */
const TPM12_FIRST_TAG = 0x0001
const TPM12_PERMANENT_DATA = 0x0022

/** @returns undefined: neither of them. `volatile` stands for the savestate of a TPM 1.2, too */
export function kindOfState(plain: Buffer): { version: TpmVersion; type: BlobType } | undefined {
  if (plain.length < 6) return undefined
  const type = TPM2_MAGIC.get(plain.readUInt32BE(2))
  if (type !== undefined) return { version: '2', type }
  if (plain.readUInt16BE(0) !== TPM12_FIRST_TAG) return undefined
  return { version: '1.2', type: plain.readUInt16BE(2) === TPM12_PERMANENT_DATA ? 'permanent' : 'volatile' }
}
