/**
 * What a TPM 1.2 tells of itself to anybody: capabilities, flags and PCRs.
 * @see TPM Main Part 3, 7.1 TPM_GetCapability, 16.3 TPM_PCRRead; Part 2, 21 "Capability areas", 7 "Internal Data"
 */
import { TPM_ORD } from '../tpm-structures/command-codes.ts'
import { ByteReader, sized32, u32 } from './bytes.ts'
import { parametersOf, tpm12Command } from './command.ts'

const CAP_FLAG = 4
const CAP_PROPERTY = 5
const CAP_VERSION = 6
const CAP_VERSION_VAL = 0x1a
const FLAG_PERMANENT = 0x108
const FLAG_VOLATILE = 0x109
const PROPERTY = {
  pcrs: 0x101,
  manufacturer: 0x103,
  owner: 0x111,
  tisTimeouts: 0x115,
  durations: 0x120,
} as const
export type Property = keyof typeof PROPERTY

const getCapability = (capability: number, ...of: readonly Buffer[]): Buffer =>
  tpm12Command(TPM_ORD.GetCapability, u32(capability), sized32(...of))

export const getProperty = (property: Property): Buffer =>
  getCapability(CAP_PROPERTY, u32(PROPERTY[property]))

/** What GetCapability has answered, without its length. @throws RangeError when the response is too short */
const areaOf = (response: Buffer): ByteReader => new ByteReader(parametersOf(response).sized32())

/** A property that is one number. */
export const propertyNumber = (response: Buffer): number => areaOf(response).u32()

/** A property that is yes or no. */
export const propertyBoolean = (response: Buffer): boolean => areaOf(response).u8() !== 0

/** A property that is so many numbers: four timeouts or three durations, in microseconds. */
export function propertyNumbers(response: Buffer, count: number): number[] {
  const area = areaOf(response)
  return Array.from({ length: count }, () => area.u32())
}

export const getPermanentFlags = (): Buffer => getCapability(CAP_FLAG, u32(FLAG_PERMANENT))

/** The first ones of TPM_PERMANENT_FLAGS. */
export function permanentFlags(response: Buffer): {
  readonly disabled: boolean
  readonly deactivated: boolean
} {
  const area = areaOf(response)
  area.u16() // the tag
  const disabled = area.u8() !== 0
  area.u8() // ownership: whether an owner can be installed
  return { disabled, deactivated: area.u8() !== 0 }
}

export const getVolatileFlags = (): Buffer => getCapability(CAP_FLAG, u32(FLAG_VOLATILE))

/** Whether the TPM is deactivated until the next start, the first one of TPM_STCLEAR_FLAGS. */
export function isTemporarilyDeactivated(response: Buffer): boolean {
  const area = areaOf(response)
  area.u16() // the tag
  return area.u8() !== 0
}

export interface Versions {
  readonly specification: readonly [major: number, minor: number]
  readonly firmware: readonly [major: number, minor: number]
}

/** TPM_CAP_VERSION_INFO, which TPMs have since 1.2. */
export const getVersionInfo = (): Buffer => getCapability(CAP_VERSION_VAL)
/** TPM_STRUCT_VER, which they had before. */
export const getStructureVersion = (): Buffer => getCapability(CAP_VERSION)

export function versionInfo(response: Buffer): Versions {
  const area = areaOf(response)
  area.u16() // the tag
  return versionsOf(area)
}

export const structureVersion = (response: Buffer): Versions => versionsOf(areaOf(response))

const versionsOf = (area: ByteReader): Versions => ({
  specification: [area.u8(), area.u8()],
  firmware: [area.u8(), area.u8()],
})

export const pcrRead12 = (index: number): Buffer => tpm12Command(TPM_ORD.PCRRead, u32(index))

const PCR_BYTES = 20

export const pcrValue12 = (response: Buffer): Buffer => parametersOf(response).bytes(PCR_BYTES)
