/** TPM commands of the rows. */
import { createPrimary, getHandles, handles } from '../../../../tpm-commands/tpm2-commands.ts'
import type { SuiteTpm } from './row.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** TPM2_GetRandom of 8 bytes. */
export const GET_RANDOM = hex('8001 0000000c 0000017b 0008')
/** TPM2_ReadClock: nothing in the kernel sends it. */
export const READ_CLOCK = hex('8001 0000000a 00000181')
/** TPM_GetRandom of TPM 1.2. */
export const GET_RANDOM_12 = hex('00c1 0000000e 00000046 00000008')

/** An ECC P-256 storage key: quickly made. */
const STORAGE_KEY = hex('0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0000 0000')

export const createStorageKey = (): Buffer => createPrimary('owner', STORAGE_KEY)

/** The objects that the TPM has in its slots, asked past the resource manager. */
export function loadedIn(tpm: SuiteTpm): number[] {
  const file = tpm.open(tpm.device)
  const response = file.exchange(getHandles('transient'))
  file.close()
  if (typeof response === 'string') throw new Error(`the TPM's handles cannot be had: ${response}`)
  return handles(response)
}
