/** The TPM 2 commands of a setup, as bytes, and what matters of their responses. @see TPM 2.0 Library Part 3 */
import { ByteReader, concat, sized16, sized32, u8, u16, u32 } from './bytes.ts'

const ST_NO_SESSIONS = 0x8001
const ST_SESSIONS = 0x8002

const RH_OWNER = 0x40000001
const RS_PW = 0x40000009
const RH_ENDORSEMENT = 0x4000000b
const RH_PLATFORM = 0x4000000c

const CC = {
  EvictControl: 0x120,
  NV_DefineSpace: 0x12a,
  PCR_Allocate: 0x12b,
  CreatePrimary: 0x131,
  NV_Write: 0x137,
  NV_WriteLock: 0x138,
  Shutdown: 0x145,
  FlushContext: 0x165,
  GetCapability: 0x17a,
} as const

const ALG_NULL = 0x0010
const ALG_RSA = 0x0001
const ALG_SHA256 = 0x000b

/** platformcreate, authread, ownerread, ppread, ppwrite, no_da, writedefine: read by all, locked for good when locked. */
const NV_ATTRIBUTES = 0x42072001

/** libtpms takes no more in one NV_Write. */
const NV_CHUNK_BYTES = 1024

const HEADER_BYTES = 10

/** The authorisation of a hierarchy whose password is empty. */
const EMPTY_PASSWORD = sized32(u32(RS_PW), sized16(), u8(0), sized16())

function command(code: number, body: Buffer, sessions: boolean): Buffer {
  const tag = sessions ? ST_SESSIONS : ST_NO_SESSIONS
  return concat(u16(tag), u32(HEADER_BYTES + body.length), u32(code), body)
}

const parametersOf = (response: Buffer): ByteReader => new ByteReader(response.subarray(HEADER_BYTES))

export const shutdown = (): Buffer => command(CC.Shutdown, u16(0 /* SU_CLEAR */), false)

export const flushContext = (handle: number): Buffer => command(CC.FlushContext, u32(handle), false)

export type Hierarchy = 'owner' | 'endorsement'

export function createPrimary(hierarchy: Hierarchy, template: Buffer): Buffer {
  const noUserAuth = sized16(sized16(), sized16())
  const noOutsideInfo = sized16()
  const noCreationPcr = u32(0)
  return command(
    CC.CreatePrimary,
    concat(
      u32(hierarchy === 'owner' ? RH_OWNER : RH_ENDORSEMENT),
      EMPTY_PASSWORD,
      noUserAuth,
      sized16(template),
      noOutsideInfo,
      noCreationPcr,
    ),
    true,
  )
}

export type PublicPart = { readonly modulus: Buffer } | { readonly x: Buffer; readonly y: Buffer }

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
  if (area.u16() !== ALG_NULL) area.bytes(4) // symmetric: key bits and mode
  if (area.u16() !== ALG_NULL) area.u16() // scheme: hash
  if (type === ALG_RSA) {
    area.bytes(2 + 4) // key bits, exponent
    return { modulus: area.sized16() }
  }
  area.u16() // curve
  if (area.u16() !== ALG_NULL) area.u16() // key derivation: hash
  return { x: area.sized16(), y: area.sized16() }
}

export const evictControl = (objectHandle: number, persistentHandle: number): Buffer =>
  command(
    CC.EvictControl,
    concat(u32(RH_OWNER), u32(objectHandle), EMPTY_PASSWORD, u32(persistentHandle)),
    true,
  )

export function nvDefineSpace(index: number, size: number): Buffer {
  const publicInfo = sized16(u32(index), u16(ALG_SHA256), u32(NV_ATTRIBUTES), sized16(), u16(size))
  return command(CC.NV_DefineSpace, concat(u32(RH_PLATFORM), EMPTY_PASSWORD, sized16(), publicInfo), true)
}

/** The commands that together write `data`. */
export function nvWrites(index: number, data: Buffer): Buffer[] {
  const commands: Buffer[] = []
  for (let offset = 0; offset < data.length; offset += NV_CHUNK_BYTES) {
    const chunk = data.subarray(offset, offset + NV_CHUNK_BYTES)
    commands.push(
      command(
        CC.NV_Write,
        concat(u32(RH_PLATFORM), u32(index), EMPTY_PASSWORD, sized16(chunk), u16(offset)),
        true,
      ),
    )
  }
  return commands
}

export const nvWriteLock = (index: number): Buffer =>
  command(CC.NV_WriteLock, concat(u32(RH_PLATFORM), u32(index), EMPTY_PASSWORD), true)

const CAP_PCRS = 5
const CAP_HANDLES = 1
const CAP_TPM_PROPERTIES = 6
const PT_MANUFACTURER = 0x105

const getCapability = (capability: number, property: number, count: number): Buffer =>
  command(CC.GetCapability, concat(u32(capability), u32(property), u32(count)), false)

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

export type HandleKind = 'nv' | 'persistent'

export const getHandles = (kind: HandleKind): Buffer =>
  getCapability(CAP_HANDLES, kind === 'nv' ? 0x01000000 : 0x81000000, 64)

export function handles(response: Buffer): number[] {
  const reader = capabilityData(response)
  return Array.from({ length: reader.u32() }, () => reader.u32())
}

export function pcrAllocate(banks: readonly PcrBank[]): Buffer {
  const selections = banks.map(({ algorithm, active }) =>
    concat(u16(algorithm), u8(3), Buffer.alloc(3, active ? 0xff : 0)),
  )
  return command(
    CC.PCR_Allocate,
    concat(u32(RH_PLATFORM), EMPTY_PASSWORD, u32(banks.length), ...selections),
    true,
  )
}

/** Whether the allocation will take effect at the next start. */
export function pcrsAllocated(response: Buffer): boolean {
  const reader = parametersOf(response)
  reader.u32() // the size of the parameters
  return reader.u8() === 1
}
