/** Reading a PCR of a TPM 2.0. @see TPM 2.0 Part 3, 22.4 TPM2_PCR_Read */
import { TPM_CC } from '../tpm-structures/command-codes.ts'
import { concat, u8, u16, u32 } from './bytes.ts'
import { parametersOf, tpm2Command } from './command.ts'

/** Bytes of a TPMS_PCR_SELECT: 24 PCRs, which every TPM of a PC has. */
const SELECT_BYTES = 3
export const PCR_COUNT = SELECT_BYTES * 8

/** @param algorithm TPM_ALG_… of the bank */
export function pcrRead(algorithm: number, index: number): Buffer {
  const select = Buffer.alloc(SELECT_BYTES)
  select[index >> 3] = 1 << (index & 7)
  return tpm2Command(TPM_CC.PCR_Read, u32(1), concat(u16(algorithm), u8(SELECT_BYTES), select))
}

/** Undefined where the bank, or the PCR in it, is not there. @throws RangeError when the response is too short */
export function pcrDigest(response: Buffer): Buffer | undefined {
  const reader = parametersOf(response)
  reader.u32() // the update counter
  for (let selections = reader.u32(); selections > 0; selections--) {
    reader.u16() // the algorithm
    reader.bytes(reader.u8())
  }
  return reader.u32() === 0 ? undefined : reader.sized16()
}
