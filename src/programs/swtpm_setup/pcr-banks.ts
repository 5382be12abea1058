/** Which PCR banks a TPM 2 keeps. */

import {
  getPcrs,
  type PcrBank,
  pcrAllocate,
  pcrBanks,
  pcrsAllocated,
} from '../../tpm-commands/tpm2-commands.ts'
import { TPM_ALG } from '../../tpm-structures/codes.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import type { TpmProcess } from './tpm-process.ts'

export const DEFAULT_PCR_BANKS = 'sha256'
/** Leaves the banks as they are. */
export const KEEP_PCR_BANKS = '-'

const NAMES: Readonly<Record<number, string>> = {
  [TPM_ALG.SHA1]: 'sha1',
  [TPM_ALG.SHA256]: 'sha256',
  [TPM_ALG.SHA384]: 'sha384',
  [TPM_ALG.SHA512]: 'sha512',
  [TPM_ALG.SM3_256]: 'sm3-256',
  [TPM_ALG.SHA3_256]: 'sha3-256',
  [TPM_ALG.SHA3_384]: 'sha3-384',
  [TPM_ALG.SHA3_512]: 'sha3-512',
}

export const bankName = (algorithm: number): string =>
  NAMES[algorithm] ?? algorithm.toString(16).padStart(2, '0')

/** @throws ToolFailure when no wanted bank is one of the TPM's */
export function chooseBanks(wanted: readonly string[], available: readonly PcrBank[]): PcrBank[] {
  const banks = available.map(({ algorithm }) => ({
    algorithm,
    active: wanted.includes(bankName(algorithm)),
  }))
  if (!banks.some(({ active }) => active)) {
    const names = available.map(({ algorithm }) => bankName(algorithm)).join(',')
    throw new ToolFailure(
      'No PCR banks could be allocated. None of the selected algorithms are supported. ' +
        `Selected: ${wanted.join(',')}; supported: ${names}`,
    )
  }
  return banks
}

/** @param wanted comma-separated names, or {@link KEEP_PCR_BANKS} */
export async function activatePcrBanks(tpm: TpmProcess, wanted: string, log: ToolLog): Promise<void> {
  if (wanted === KEEP_PCR_BANKS) return
  const available = await tpm.transmit('TPM2_GetCapability', getPcrs(), pcrBanks)
  const banks = chooseBanks(splitBanks(wanted), available)
  if (!(await tpm.transmit('TPM2_PCR_Allocate', pcrAllocate(banks), pcrsAllocated))) {
    throw new ToolFailure(`The TPM did not allocate the PCR banks ${wanted}`)
  }
  const names = (of: readonly PcrBank[]): string => of.map(({ algorithm }) => bankName(algorithm)).join(',')
  log.info(
    `Successfully activated PCR banks ${names(banks.filter(({ active }) => active))} among ${names(banks)}.`,
  )
}

export const splitBanks = (list: string): string[] =>
  list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
