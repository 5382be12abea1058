/** The commands that are measured, and what a TPM needs before them. */
import { controlCode, ioctlNumber, ioctlSize, VERBS, type VerbName } from '../../contract/verbs.ts'
import { EMPTY_PASSWORD, hex32, TPM2, TPM12, tpm2 } from '../support/tpm-commands.ts'
import type { Batch } from './client.ts'

export interface MeasuredCommand {
  readonly name: string
  readonly tpm: '2' | '1.2'
  readonly batch: Omit<Batch, 'count'>
  /** Commands in each of the interleaved batches. */
  readonly perBatch: number
  /** Once, before the first. */
  readonly before?: readonly Uint8Array[]
  /** Makes the TPM store its state. */
  readonly stores?: boolean
  /** A PTM verb: sent on the control channel instead. */
  readonly channel?: 'control'
  /** Response codes that are right; success alone by default. */
  readonly codes?: readonly number[]
  /** Part of a quick run. */
  readonly quick?: boolean
}

const TPM_RC_CANCELED = 0x909

const ORDINARY = 0x01500001
const COUNTER = 0x01500010

/** An index that its empty password opens: AUTHREAD, AUTHWRITE, NO_DA and these attributes. */
const define = (index: number, attributes: number, size: number): Buffer =>
  tpm2(
    0x12a,
    ['40000001', EMPTY_PASSWORD, 0, 14, hex32(index), '000b', hex32(0x02040004 | attributes), 0, size],
    true,
  )
const NT_COUNTER = 0x10
const nvWrite = TPM2.nvWrite(Buffer.alloc(32), ORDINARY)
const nvIncrement = tpm2(0x134, [hex32(COUNTER), hex32(COUNTER), EMPTY_PASSWORD], true)

/** PCR 16 is for debugging: extending it stores nothing. */
const PCR = 16

export const GET_RANDOM: MeasuredCommand = {
  name: 'GetRandom',
  tpm: '2',
  batch: { command: TPM2.getRandom() },
  perBatch: 100,
  quick: true,
}

/** So rarely that the server has gone to sleep before each. */
export const GET_RANDOM_RARELY: MeasuredCommand = {
  ...GET_RANDOM,
  name: 'GetRandom, rarely',
  batch: { ...GET_RANDOM.batch, pauseUs: 1000 },
}

export const NV_WRITE: MeasuredCommand = {
  name: 'NV_Write',
  tpm: '2',
  // The data follow handles, authorization area and their size.
  batch: { command: nvWrite, vary: { offset: nvWrite.length - 34, size: 32 } },
  perBatch: 20,
  before: [define(ORDINARY, 0, 32)],
  stores: true,
  quick: true,
}

export const COMMANDS: readonly MeasuredCommand[] = [
  GET_RANDOM,
  { name: 'PCR_Read', tpm: '2', batch: { command: TPM2.pcrRead(PCR) }, perBatch: 100 },
  {
    name: 'PCR_Extend',
    tpm: '2',
    batch: { command: TPM2.pcrExtend(PCR, Buffer.alloc(32, 1)) },
    perBatch: 100,
    quick: true,
  },
  {
    name: 'GetCapability',
    tpm: '2',
    batch: { command: tpm2(0x17a, ['00000006 00000100 00000001']) },
    perBatch: 100,
  },
  {
    name: 'Hash of 1 KiB',
    tpm: '2',
    batch: { command: tpm2(0x17d, [1024, Buffer.alloc(1024, 7), '000b 40000007']) },
    perBatch: 100,
  },
  NV_WRITE,
  {
    name: 'NV_Increment',
    tpm: '2',
    batch: { command: nvIncrement },
    perBatch: 20,
    before: [define(COUNTER, NT_COUNTER, 8)],
    stores: true,
  },
  {
    name: 'CreatePrimary ECC P-256',
    tpm: '2',
    batch: { command: TPM2.createPrimaryEcc, flush: true },
    perBatch: 10,
    quick: true,
  },
  {
    name: 'CreatePrimary RSA-2048',
    tpm: '2',
    // From the same seed and template comes the same key, by the same work.
    batch: { command: TPM2.createPrimaryRsa(2048, Buffer.alloc(0)), flush: true },
    perBatch: 1,
  },
  { name: 'GetRandom', tpm: '1.2', batch: { command: TPM12.getRandom() }, perBatch: 100 },
  { name: 'Extend', tpm: '1.2', batch: { command: TPM12.extend(PCR, Buffer.alloc(20, 1)) }, perBatch: 100 },
]

/** Neither changes the TPM nor waits for it. */
const MEASURED_VERBS = ['GET_CAPABILITY', 'GET_CONFIG', 'SET_LOCALITY', 'GET_TPMESTABLISHED'] as const

/** The verb as a command on the control channel. */
const onControlChannel = (name: VerbName): Buffer =>
  Buffer.concat([Buffer.from(hex32(controlCode(name)), 'hex'), Buffer.alloc(VERBS[name].req.size)])

/** PTM verbs, on the control channel or as ioctls on a CUSE device. */
export const verbs = (wire: 'control' | 'ioctl'): MeasuredCommand[] =>
  MEASURED_VERBS.map((name) => ({
    name,
    tpm: '2',
    batch:
      wire === 'control'
        ? { command: onControlChannel(name) }
        : { ioctl: { request: ioctlNumber(name), argument: Buffer.alloc(ioctlSize(name)) } },
    ...(wire === 'control' && { channel: 'control' }),
    perBatch: 50,
    quick: true,
  }))

/** An RSA key that takes a second or so, another one each time, cancelled while it is made. */
export const cancellation = (wire: 'control' | 'ioctl'): MeasuredCommand => {
  const command = TPM2.createPrimaryRsa(3072, Buffer.alloc(32))
  return {
    name: 'CANCEL of CreatePrimary RSA-3072',
    tpm: '2',
    batch: {
      command,
      // Behind the unique field there are outsideInfo and creationPCR.
      vary: { offset: command.length - 38, size: 32 },
      flush: true,
      cancel: {
        afterUs: 20_000,
        ...(wire === 'control' && { command: onControlChannel('CANCEL_TPM_CMD') }),
      },
    },
    perBatch: 2,
    // Those that cannot be cancelled end with a key.
    codes: [0, TPM_RC_CANCELED],
    quick: true,
  }
}
