/** The TPM 2 commands of a setup, as bytes, and what matters of their responses. @see TPM 2.0 Library Part 3 */

import { TPM_ALG, TPM_HANDLES, TPM_SU_CLEAR, TPMA_NV } from '../tpm-structures/codes.ts'
import { TPM_CC } from '../tpm-structures/command-codes.ts'
import { ByteReader, concat, sized16, u8, u16, u32 } from './bytes.ts'
import { parametersOf, tpm2Authorized, tpm2Command } from './command.ts'

/** platformcreate, authread, ownerread, ppread, ppwrite, no_da, writedefine: read by all, locked for good when locked. */
const NV_ATTRIBUTES = 0x42072001

/** libtpms takes no more in one NV_Write. */
const NV_CHUNK_BYTES = 1024

export const shutdown = (): Buffer => tpm2Command(TPM_CC.Shutdown, u16(TPM_SU_CLEAR))

export const flushContext = (handle: number): Buffer => tpm2Command(TPM_CC.FlushContext, u32(handle))

export type Hierarchy = 'owner' | 'endorsement'

export function createPrimary(hierarchy: Hierarchy, template: Buffer): Buffer {
  const noUserAuth = sized16(sized16(), sized16())
  const noOutsideInfo = sized16()
  const noCreationPcr = u32(0)
  return tpm2Authorized(
    TPM_CC.CreatePrimary,
    [hierarchy === 'owner' ? TPM_HANDLES.OWNER : TPM_HANDLES.ENDORSEMENT],
    [noUserAuth, sized16(template), noOutsideInfo, noCreationPcr],
  )
}

export type PublicPart =
  | { readonly modulus: Buffer }
  /** `curve` is a TPM_ECC_CURVE. */
  | { readonly curve: number; readonly x: Buffer; readonly y: Buffer }

export interface CreatedKey {
  readonly handle: number
  readonly public: PublicPart
}

export function createdKey(response: Buffer): CreatedKey {
  const reader = parametersOf(response)
  const handle = reader.u32()
  reader.u32() // the size of the parameters
  return { handle, public: publicPart(new ByteReader(reader.sized16())) }
}

/** Finds the unique field behind parameters whose length depends on the key. */
function publicPart(area: ByteReader): PublicPart {
  const type = area.u16()
  area.u16() // name algorithm
  area.u32() // attributes
  area.sized16() // policy
  if (area.u16() !== TPM_ALG.NULL) area.bytes(4) // symmetric: key bits and mode
  if (area.u16() !== TPM_ALG.NULL) area.u16() // scheme: hash
  if (type === TPM_ALG.RSA) {
    area.bytes(2 + 4) // key bits, exponent
    return { modulus: area.sized16() }
  }
  const curve = area.u16()
  if (area.u16() !== TPM_ALG.NULL) area.u16() // key derivation: hash
  return { curve, x: area.sized16(), y: area.sized16() }
}

export const readPublic = (handle: number): Buffer => tpm2Command(TPM_CC.ReadPublic, u32(handle))

/** @throws RangeError when the response is too short */
export const readPublicPart = (response: Buffer): PublicPart =>
  publicPart(new ByteReader(parametersOf(response).sized16()))

export const evictControl = (objectHandle: number, persistentHandle: number): Buffer =>
  tpm2Authorized(TPM_CC.EvictControl, [TPM_HANDLES.OWNER, objectHandle], [u32(persistentHandle)])

/** The size of an NVRAM area is a 16-bit number. */
export const MAX_NV_BYTES = 0xffff

/** @param size at most {@link MAX_NV_BYTES} */
export function nvDefineSpace(index: number, size: number): Buffer {
  const publicInfo = sized16(u32(index), u16(TPM_ALG.SHA256), u32(NV_ATTRIBUTES), sized16(), u16(size))
  return tpm2Authorized(TPM_CC.NV_DefineSpace, [TPM_HANDLES.PLATFORM], [sized16(), publicInfo])
}

/** The commands that together write `data`. */
export function nvWrites(index: number, data: Buffer): Buffer[] {
  const commands: Buffer[] = []
  for (let offset = 0; offset < data.length; offset += NV_CHUNK_BYTES) {
    const chunk = data.subarray(offset, offset + NV_CHUNK_BYTES)
    commands.push(
      tpm2Authorized(TPM_CC.NV_Write, [TPM_HANDLES.PLATFORM, index], [sized16(chunk), u16(offset)]),
    )
  }
  return commands
}

export const nvWriteLock = (index: number): Buffer =>
  tpm2Authorized(TPM_CC.NV_WriteLock, [TPM_HANDLES.PLATFORM, index])

export const nvUndefineSpace = (index: number): Buffer =>
  tpm2Authorized(TPM_CC.NV_UndefineSpace, [TPM_HANDLES.PLATFORM, index])

export const nvReadPublic = (index: number): Buffer => tpm2Command(TPM_CC.NV_ReadPublic, u32(index))

export interface NvArea {
  readonly index: number
  /** TPMA_NV */
  readonly attributes: number
  readonly size: number
}

export function nvArea(response: Buffer): NvArea {
  const area = new ByteReader(parametersOf(response).sized16())
  const index = area.u32()
  area.u16() // name algorithm
  const attributes = area.u32()
  area.sized16() // policy
  return { index, attributes, size: area.u16() }
}

/** The commands that together read what an area holds, authorized by an empty password. */
export function nvReads({ index, attributes, size }: NvArea): Buffer[] {
  const authority =
    (attributes & TPMA_NV.AUTHREAD) !== 0
      ? index
      : (attributes & TPMA_NV.PPREAD) !== 0
        ? TPM_HANDLES.PLATFORM
        : TPM_HANDLES.OWNER
  const commands: Buffer[] = []
  for (let offset = 0; offset < size; offset += NV_CHUNK_BYTES) {
    const count = Math.min(NV_CHUNK_BYTES, size - offset)
    commands.push(tpm2Authorized(TPM_CC.NV_Read, [authority, index], [u16(count), u16(offset)]))
  }
  return commands
}

export function nvData(response: Buffer): Buffer {
  const reader = parametersOf(response)
  reader.u32() // the size of the parameters
  return reader.sized16()
}

const CAP_PCRS = 5
const CAP_HANDLES = 1
const CAP_TPM_PROPERTIES = 6
const PT_MANUFACTURER = 0x105

const getCapability = (capability: number, property: number, count: number): Buffer =>
  tpm2Command(TPM_CC.GetCapability, u32(capability), u32(property), u32(count))

function capabilityData(response: Buffer): ByteReader {
  const reader = parametersOf(response)
  reader.u8() // more data
  reader.u32() // which capability
  return reader
}

export const getPcrs = (): Buffer => getCapability(CAP_PCRS, 0, 64)

export interface PcrBank {
  readonly algorithm: number
  readonly active: boolean
}

export function pcrBanks(response: Buffer): PcrBank[] {
  const reader = capabilityData(response)
  return Array.from({ length: reader.u32() }, () => {
    const algorithm = reader.u16()
    const selection = reader.bytes(reader.u8())
    return { algorithm, active: selection.some((byte) => byte !== 0) }
  })
}

export const getManufacturer = (): Buffer => getCapability(CAP_TPM_PROPERTIES, PT_MANUFACTURER, 1)

/** The four letters of the TPM's manufacturer, like "IBM". */
export function manufacturer(response: Buffer): string {
  const reader = capabilityData(response)
  reader.u32() // how many
  reader.u32() // which property
  return reader.bytes(4).toString('latin1').replace(/\0+$/, '')
}

/** The first handle of each kind. */
const FIRST_HANDLE = {
  nv: 0x01000000,
  session: 0x02000000,
  savedSession: 0x03000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const
export type HandleKind = keyof typeof FIRST_HANDLE

export const getHandles = (kind: HandleKind): Buffer => getCapability(CAP_HANDLES, FIRST_HANDLE[kind], 64)

export function handles(response: Buffer): number[] {
  const reader = capabilityData(response)
  return Array.from({ length: reader.u32() }, () => reader.u32())
}

export function pcrAllocate(banks: readonly PcrBank[]): Buffer {
  const selections = banks.map(({ algorithm, active }) =>
    concat(u16(algorithm), u8(3), Buffer.alloc(3, active ? 0xff : 0)),
  )
  return tpm2Authorized(TPM_CC.PCR_Allocate, [TPM_HANDLES.PLATFORM], [u32(banks.length), ...selections])
}

/** Whether the allocation will take effect at the next start. */
export function pcrsAllocated(response: Buffer): boolean {
  const reader = parametersOf(response)
  reader.u32() // the size of the parameters
  return reader.u8() === 1
}
