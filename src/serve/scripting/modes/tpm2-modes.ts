/** What takes a TPM 2.0 into a mode, in its own commands. */
import { concat, sized16, u8, u16, u32 } from '../../../tpm-commands/bytes.ts'
import { responseCode, tpm2Authorized, tpm2Command } from '../../../tpm-commands/command.ts'
import { getPcrs, pcrAllocate, pcrBanks, pcrsAllocated } from '../../../tpm-commands/tpm2-commands.ts'
import { TPM_ALG, TPM_HANDLES, TPM_ST_SESSIONS, TPMA_NV } from '../../../tpm-structures/codes.ts'
import { TPM_CC } from '../../../tpm-structures/command-codes.ts'
import type { Send } from './send.ts'

const RC_AUTH_FAIL_S1 = 0x98e
const RC_LOCKOUT = 0x921
const RC_NV_SPACE = 0x14b
/** Rarely used by anybody, so that it does not meet an index of the user. */
const LOCKED_INDEX = 0x017fff00
const FIRST_FILLING_INDEX = 0x017e0000
/** So long nothing is forgiven. */
const RECOVERY_S = 86_400

/** One failed authorization is allowed, and it is made. */
export async function lockOut(send: Send): Promise<void> {
  await send(
    tpm2Authorized(
      TPM_CC.DictionaryAttackParameters,
      [TPM_HANDLES.LOCKOUT],
      [u32(1), u32(RECOVERY_S), u32(RECOVERY_S)],
    ),
  )
  await send(nvDefine(LOCKED_INDEX, 8, TPMA_NV.AUTHREAD | TPMA_NV.AUTHWRITE, Buffer.from('right')))
  await send(nvWriteWithPassword(LOCKED_INDEX, 'wrong'), [RC_AUTH_FAIL_S1])
  const locked = responseCode(await send(nvWriteWithPassword(LOCKED_INDEX, 'right'), [RC_LOCKOUT]))
  await send(tpm2Authorized(TPM_CC.NV_UndefineSpace, [TPM_HANDLES.OWNER, LOCKED_INDEX]))
  if (locked !== RC_LOCKOUT) throw new RangeError('the TPM is not locked after a failed authorization')
}

/** The largest indices first, and then what is left by smaller ones. */
export async function fillNv(send: Send): Promise<void> {
  let index = FIRST_FILLING_INDEX
  for (let size = 2048; size >= 1; size = Math.floor(size / 2)) {
    for (;;) {
      const attributes = TPMA_NV.OWNERREAD | TPMA_NV.OWNERWRITE | TPMA_NV.NO_DA
      const response = await send(nvDefine(index, size, attributes), [RC_NV_SPACE])
      if (responseCode(response) === RC_NV_SPACE) break
      index++
    }
  }
}

/** As the firmware does, when a user asks it for that. */
export async function clear(send: Send): Promise<void> {
  await send(tpm2Authorized(TPM_CC.ClearControl, [TPM_HANDLES.PLATFORM], [u8(0)]))
  await send(tpm2Authorized(TPM_CC.Clear, [TPM_HANDLES.PLATFORM]))
}

/** @param value names of algorithms, with commas */
export async function allocateBanks(send: Send, value: string): Promise<void> {
  const wanted = value.split(',').map((name) => name.toUpperCase())
  const banks = pcrBanks(await send(getPcrs()))
  const names = new Map(Object.entries<number>(TPM_ALG).map(([name, algorithm]) => [algorithm, name]))
  const there = banks.map(({ algorithm }) => names.get(algorithm) ?? String(algorithm))
  const missing = wanted.find((name) => !there.includes(name))
  if (missing !== undefined)
    throw new RangeError(`it has no bank of ${missing}, but of ${there.join(', ').toLowerCase()}`)
  const chosen = banks.map((bank, at) => ({ ...bank, active: wanted.includes(there[at] as string) }))
  if (!pcrsAllocated(await send(pcrAllocate(chosen)))) throw new RangeError('it cannot have these banks')
}

function nvDefine(index: number, size: number, attributes: number, password = Buffer.alloc(0)): Buffer {
  const area = sized16(u32(index), u16(TPM_ALG.SHA256), u32(attributes), sized16(), u16(size))
  return tpm2Authorized(TPM_CC.NV_DefineSpace, [TPM_HANDLES.OWNER], [sized16(password), area])
}

function nvWriteWithPassword(index: number, password: string): Buffer {
  const session = concat(u32(TPM_HANDLES.PW), sized16(), u8(0), sized16(Buffer.from(password)))
  const body = [u32(index), u32(index), u32(session.length), session, sized16(Buffer.alloc(8)), u16(0)]
  const command = tpm2Command(TPM_CC.NV_Write, ...body)
  command.writeUInt16BE(TPM_ST_SESSIONS, 0)
  return command
}
