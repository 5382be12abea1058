/** The PCRs of a bank, a file for each: pcr-sha256/7. @see pcr_value_show() of Linux */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { getPcrs, pcrBanks } from '../tpm-commands/tpm2-commands.ts'
import { pcrDigest, pcrRead } from '../tpm-commands/tpm2-pcrs.ts'
import { pcrRead12, pcrValue12 } from '../tpm-commands/tpm12-capabilities.ts'
import { TPM_ALG } from '../tpm-structures/codes.ts'
import { type Ask, ReadError } from './ask.ts'

export interface Bank {
  /** As in the name of the folder: `sha256`. */
  readonly name: string
  /** TPM_ALG_… */
  readonly algorithm: number
  /** Of a PCR. */
  readonly bytes: number
}

/** The banks that Linux shows, by its names. */
const BANKS: readonly Bank[] = [
  { name: 'sha1', algorithm: TPM_ALG.SHA1, bytes: 20 },
  { name: 'sha256', algorithm: TPM_ALG.SHA256, bytes: 32 },
  { name: 'sha384', algorithm: TPM_ALG.SHA384, bytes: 48 },
  { name: 'sha512', algorithm: TPM_ALG.SHA512, bytes: 64 },
  { name: 'sm3', algorithm: TPM_ALG.SM3_256, bytes: 32 },
]

/** Whether there are TPMs of which Linux shows a bank of this name. */
export const isBankName = (wanted: string): boolean => BANKS.some(({ name }) => name === wanted)

/** A TPM 1.2 has this one and no other. */
const TPM12_BANKS = BANKS.filter(({ name }) => name === 'sha1')

/** Those in which PCRs are allocated. @returns undefined where the TPM does not tell */
export async function allocatedBanks(version: TpmVersion, ask: Ask): Promise<readonly Bank[] | undefined> {
  if (version === '1.2') return TPM12_BANKS
  const response = await ask(getPcrs())
  if (response === undefined) return undefined
  const allocated = pcrBanks(response).filter(({ active }) => active)
  return BANKS.filter((bank) => allocated.some(({ algorithm }) => algorithm === bank.algorithm))
}

/** Of what {@link pcrText} gives: hexadecimal digits and the end of the line. */
export const pcrTextSize = ({ bytes }: Bank): number => 2 * bytes + 1

/** @throws ReadError EINVAL: the bank does not have this PCR */
export async function pcrText(
  version: TpmVersion,
  ask: Ask,
  { algorithm }: Bank,
  index: number,
): Promise<string> {
  const response = await ask(version === '1.2' ? pcrRead12(index) : pcrRead(algorithm, index))
  if (response === undefined) throw new ReadError('EIO')
  const value = version === '1.2' ? pcrValue12(response) : pcrDigest(response)
  if (value === undefined) throw new ReadError('EINVAL')
  return `${value.toString('hex').toUpperCase()}\n`
}
