/** What a TPM 1.2 tells of itself to whoever asks. @see TPM Main Part 3, 7.1 TPM_GetCapability; Part 2, 21 */
import { ByteReader, sized32, u16, u32 } from '../../../../tpm-commands/bytes.ts'
import { parametersOf, tpm12Command } from '../../../../tpm-commands/command.ts'
import {
  getNvArea,
  NV_INDEX_EK_CERT,
  NV_INDEX_PLATFORM_CERT,
} from '../../../../tpm-commands/tpm12-commands.ts'
import { TPM_ORD } from '../../../../tpm-structures/command-codes.ts'
import { type Contents, hex, type Lockout, type NvIndex, type PersistentObject } from './contents.ts'
import type { CopiedTpm } from './copied-tpm.ts'

const CAP = { flag: 4, property: 5, keyHandles: 7, nvList: 0x0d, dictionaryAttack: 0x19 } as const
const FLAG_PERMANENT = 0x108
const PROPERTY_OWNER = 0x111
const PROPERTY_PCRS = 0x101
const ENTITY_OWNER = 2
/** The bytes behind the tag of TPM_PERMANENT_FLAGS, in their order. @see TPM Main Part 2, 7.1 */
const FLAGS = [
  'disable',
  'ownership',
  'deactivated',
  'readPubek',
  'disableOwnerClear',
  'allowMaintenance',
  'physicalPresenceLifetimeLock',
  'physicalPresenceHWEnable',
  'physicalPresenceCMDEnable',
  'CEKPUsed',
  'TPMpost',
  'TPMpostLock',
  'FIPS',
  'operator',
  'enableRevokeEK',
  'nvLocked',
] as const

export async function tpm12Contents(tpm: CopiedTpm, isRunning: boolean): Promise<Contents> {
  const nv = await nvAreas(tpm)
  const has = (index: number): boolean => nv.some((area) => area.index === hex(index))
  const lockout = await lockoutOf(tpm)
  return {
    libtpms: tpm.libtpms,
    asOf: isRunning ? 'volatile state' : 'next start',
    pcrBanks: [{ algorithm: 'sha1', active: true, ...(isRunning && { values: await pcrValues(tpm) }) }],
    nv,
    persistent: await keys(tpm),
    authorizationSet: { owner: (await capability(tpm, CAP.property, u32(PROPERTY_OWNER)))[0] === 1 },
    flags: await flagsOf(tpm),
    ...(lockout && { lockout }),
    certificates: { ek: has(NV_INDEX_EK_CERT) ? ['rsa2048'] : [], platform: has(NV_INDEX_PLATFORM_CERT) },
  }
}

async function capability(tpm: CopiedTpm, area: number, subCap: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  const { bytes } = await tpm.ask(tpm12Command(TPM_ORD.GetCapability, u32(area), sized32(subCap)))
  return parametersOf(bytes).sized32()
}

async function flagsOf(tpm: CopiedTpm): Promise<Record<string, boolean>> {
  const bytes = (await capability(tpm, CAP.flag, u32(FLAG_PERMANENT))).subarray(2)
  return Object.fromEntries(FLAGS.map((name, at) => [name, bytes[at] === 1]))
}

async function pcrValues(tpm: CopiedTpm): Promise<Record<string, string>> {
  const count = (await capability(tpm, CAP.property, u32(PROPERTY_PCRS))).readUInt32BE(0)
  const values: Record<string, string> = {}
  for (let pcr = 0; pcr < Math.min(count, 32); pcr++) {
    const { bytes } = await tpm.ask(tpm12Command(TPM_ORD.PCRRead, u32(pcr)))
    values[pcr] = parametersOf(bytes).bytes(20).toString('hex')
  }
  return values
}

async function nvAreas(tpm: CopiedTpm): Promise<NvIndex[]> {
  const list = await capability(tpm, CAP.nvList)
  const areas: NvIndex[] = []
  for (let at = 0; at + 4 <= list.length; at += 4) {
    const index = list.readUInt32BE(at)
    const { code, bytes } = await tpm.try(getNvArea(index))
    if (code !== 0) continue
    // Its end: TPM_NV_ATTRIBUTES, three flags, and the size.
    const area = parametersOf(bytes).sized32()
    const attributes = area.readUInt32BE(area.length - 11)
    const usually = USUAL.get(index)
    areas.push({
      index: hex(index),
      ...(usually !== undefined && { usually }),
      bytes: area.readUInt32BE(area.length - 4),
      attributes: PERMISSIONS.filter(([, bit]) => (attributes & bit) !== 0).map(([name]) => name),
    })
  }
  return areas
}

const USUAL: ReadonlyMap<number, string> = new Map([
  [NV_INDEX_EK_CERT, 'certificate of the EK, rsa2048'],
  [NV_INDEX_PLATFORM_CERT, 'platform certificate'],
])

/** @see TPM Main Part 2, 19.2 "TPM_NV_ATTRIBUTES" */
const PERMISSIONS: readonly (readonly [string, number])[] = [
  ['read_stclear', 1 << 31],
  ['authread', 1 << 18],
  ['ownerread', 1 << 17],
  ['ppread', 1 << 16],
  ['globallock', 1 << 15],
  ['write_stclear', 1 << 14],
  ['writedefine', 1 << 13],
  ['writeall', 1 << 12],
  ['authwrite', 1 << 2],
  ['ownerwrite', 1 << 1],
  ['ppwrite', 1 << 0],
]

/** Keys that outlast a power cycle; their public parts need an authorization. */
async function keys(tpm: CopiedTpm): Promise<PersistentObject[]> {
  const reader = new ByteReader(await capability(tpm, CAP.keyHandles))
  return Array.from({ length: reader.u16() }, () => ({
    handle: hex(reader.u32()),
    type: 'RSA',
    nameAlgorithm: 'sha1',
    name: '',
    attributes: [],
  }))
}

async function lockoutOf(tpm: CopiedTpm): Promise<Lockout | undefined> {
  const { code, bytes } = await tpm.try(
    tpm12Command(TPM_ORD.GetCapability, u32(CAP.dictionaryAttack), sized32(u16(ENTITY_OWNER))),
  )
  if (code !== 0) return undefined
  const reader = new ByteReader(parametersOf(bytes).sized32())
  reader.u16() // TPM_DA_INFO
  const isLockedOut = reader.u8() === 1
  return { isLockedOut, failures: reader.u16(), maximum: reader.u16() }
}
