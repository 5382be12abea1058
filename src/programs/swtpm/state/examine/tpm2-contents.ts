/** What a TPM 2.0 tells of itself to whoever asks, without a password. @see TPM 2.0 Part 3, 30.2 TPM2_GetCapability */

import { StateFault } from '../../../../tpm/state/stored/state-fault.ts'
import { u8, u16, u32 } from '../../../../tpm-commands/bytes.ts'
import { tpm2Command } from '../../../../tpm-commands/command.ts'
import { nvReadPublic, readPublic } from '../../../../tpm-commands/tpm2-commands.ts'
import { TPM_ALG } from '../../../../tpm-structures/codes.ts'
import { TPM_CC } from '../../../../tpm-structures/command-codes.ts'
import { usualContent } from '../../../common/tpm-keys/key-places.ts'
import { type Contents, hex, type NvIndex, type PcrBank, type PersistentObject, wordsOf } from './contents.ts'
import type { CopiedTpm } from './copied-tpm.ts'

const CAP = { handles: 1, pcrs: 5, properties: 6 } as const
const FIRST_PERMANENT_PROPERTY = 0x200
const FIRST_NV_INDEX = 0x01000000
const FIRST_PERSISTENT = 0x81000000
/** As many as fit into a response. */
const AT_A_TIME = 64
/** No TPM has more handles of a kind: an end for one that lies. */
const MOST_HANDLES = 4096
/** Bits of TPM_PT_PERMANENT. @see TPM 2.0 Part 2, 8.6 */
const PERMANENT = {
  ownerAuthSet: 0,
  endorsementAuthSet: 1,
  lockoutAuthSet: 2,
  disableClear: 8,
  inLockout: 9,
  tpmGeneratedEPS: 10,
} as const

export async function tpm2Contents(tpm: CopiedTpm, isRunning: boolean): Promise<Contents> {
  const properties = await propertiesOf(tpm)
  const permanent = properties.get('PERMANENT') ?? 0
  const has = (bit: keyof typeof PERMANENT): boolean => ((permanent >>> PERMANENT[bit]) & 1) !== 0
  const nv = await nvIndexes(tpm)
  const profile = await tpm.profile()
  return {
    libtpms: tpm.libtpms,
    ...(profile !== undefined && { profile }),
    asOf: isRunning ? 'volatile state' : 'next start',
    pcrBanks: await pcrBanks(tpm, isRunning),
    nv,
    persistent: await persistentObjects(tpm),
    authorizationSet: {
      owner: has('ownerAuthSet'),
      endorsement: has('endorsementAuthSet'),
      lockout: has('lockoutAuthSet'),
    },
    flags: { disableClear: has('disableClear') },
    lockout: {
      isLockedOut: has('inLockout'),
      failures: properties.get('LOCKOUT_COUNTER') ?? 0,
      maximum: properties.get('MAX_AUTH_FAIL') ?? 0,
      intervalSeconds: properties.get('LOCKOUT_INTERVAL') ?? 0,
      recoverySeconds: properties.get('LOCKOUT_RECOVERY') ?? 0,
    },
    certificates: {
      ek: nv
        .map(({ usually = '' }) => usually)
        .filter((usually) => usually.startsWith('certificate of the EK'))
        .map((usually) => usually.replace(/.*, /, '')),
      platform: nv.some(({ usually }) => usually === 'platform certificate'),
    },
  }
}

interface Capability {
  readonly data: readonly unknown[]
  readonly moreData: boolean
}

async function capability(
  tpm: CopiedTpm,
  kind: number,
  first: number,
  count = AT_A_TIME,
): Promise<Capability> {
  const command = tpm2Command(TPM_CC.GetCapability, u32(kind), u32(first), u32(count))
  const { parameters } = await tpm.ask(command)
  const { data } = (parameters.capabilityData ?? {}) as { data?: unknown }
  if (!Array.isArray(data))
    throw new StateFault('damaged', 'the TPM answers GetCapability with something else')
  return { data, moreData: parameters.moreData === true }
}

async function propertiesOf(tpm: CopiedTpm): Promise<Map<string, number>> {
  const { data } = await capability(tpm, CAP.properties, FIRST_PERMANENT_PROPERTY, 100)
  return new Map(
    (data as { property: string; value: number }[]).map(({ property, value }) => [property, value]),
  )
}

async function handlesFrom(tpm: CopiedTpm, start: number): Promise<number[]> {
  const found: number[] = []
  for (let first = start; found.length < MOST_HANDLES; ) {
    const { data, moreData } = await capability(tpm, CAP.handles, first)
    found.push(...(data as number[]))
    if (!moreData || data.length === 0) break
    first = (found[found.length - 1] as number) + 1
  }
  return found
}

async function pcrBanks(tpm: CopiedTpm, isRunning: boolean): Promise<PcrBank[]> {
  const { data } = await capability(tpm, CAP.pcrs, 0)
  const banks: PcrBank[] = []
  for (const { hash, pcrSelect } of data as { hash: string; pcrSelect: Buffer }[]) {
    const pcrs = selected(pcrSelect)
    const values = isRunning ? await pcrValues(tpm, hash, pcrs) : undefined
    banks.push({ algorithm: hash.toLowerCase(), active: pcrs.length > 0, ...(values && { values }) })
  }
  return banks
}

const selected = (selection: Buffer): number[] =>
  [...Array(8 * selection.length).keys()].filter((pcr) => (selection[pcr >> 3]! & (1 << (pcr & 7))) !== 0)

async function pcrValues(
  tpm: CopiedTpm,
  hash: string,
  pcrs: readonly number[],
): Promise<Record<string, string>> {
  const values: Record<string, string> = {}
  const algorithm = TPM_ALG[hash as keyof typeof TPM_ALG]
  if (algorithm === undefined) return values
  for (const pcr of pcrs) {
    const selection = Buffer.alloc(3)
    selection[pcr >> 3] = 1 << (pcr & 7)
    const { parameters } = await tpm.ask(
      tpm2Command(TPM_CC.PCR_Read, u32(1), u16(algorithm), u8(3), selection),
    )
    const [value] = (parameters.pcrValues ?? []) as Buffer[]
    if (value !== undefined) values[pcr] = value.toString('hex')
  }
  return values
}

async function nvIndexes(tpm: CopiedTpm): Promise<NvIndex[]> {
  const indexes: NvIndex[] = []
  for (const index of await handlesFrom(tpm, FIRST_NV_INDEX)) {
    const { parameters } = await tpm.try(nvReadPublic(index))
    const area = parameters.nvPublic as
      | { nameAlg?: string; attributes?: string; dataSize?: number }
      | undefined
    const usually = usualContent(index)
    indexes.push({
      index: hex(index),
      ...(usually !== undefined && { usually }),
      bytes: area?.dataSize ?? 0,
      ...(area?.nameAlg !== undefined && { nameAlgorithm: String(area.nameAlg).toLowerCase() }),
      attributes: wordsOf(area?.attributes).map((word) => word.toLowerCase()),
    })
  }
  return indexes
}

interface Public {
  readonly type?: string
  readonly nameAlg?: string
  readonly objectAttributes?: string
  readonly parameters?: {
    readonly keyBits?: number
    readonly curveID?: string
    readonly sym?: { readonly algorithm?: string; readonly keyBits?: number }
  }
}

async function persistentObjects(tpm: CopiedTpm): Promise<PersistentObject[]> {
  const objects: PersistentObject[] = []
  for (const handle of await handlesFrom(tpm, FIRST_PERSISTENT)) {
    const { parameters } = await tpm.try(readPublic(handle))
    const area = (parameters.outPublic ?? {}) as Public
    const usually = usualContent(handle)
    objects.push({
      handle: hex(handle),
      ...(usually !== undefined && { usually }),
      type: typeOf(area),
      nameAlgorithm: String(area.nameAlg ?? 'unknown').toLowerCase(),
      name: Buffer.isBuffer(parameters.name) ? parameters.name.toString('hex') : '',
      attributes: wordsOf(area.objectAttributes),
    })
  }
  return objects
}

function typeOf({ type = 'unknown', parameters = {} }: Public): string {
  const { keyBits, curveID, sym } = parameters
  const size = keyBits ?? curveID ?? (sym && `${sym.algorithm} ${sym.keyBits}`)
  return size === undefined ? String(type) : `${type} ${size}`
}
