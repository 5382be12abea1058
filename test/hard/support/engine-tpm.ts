/** A TPM in an engine of its own, driven over the channel without the supervisor around it: quick to start. */

import { closeSync, constants, openSync } from 'node:fs'
import type { EngineOptions } from '../../../src/engine-client/channel/engine-program.ts'
import { Spawner } from '../../../src/engine-client/channel/spawner.ts'
import { EngineClient } from '../../../src/engine-client/engine-client.ts'
import { ENGINE_DEFAULTS } from '../../support/engine-defaults.ts'
import { TpmClient } from '../../support/tpm-client.ts'
import { hex32, responseCode, TPM2, TPM12, tpm2, tpm12 } from '../../support/tpm-commands.ts'

export interface EngineTpmOptions {
  readonly tpmVersion?: '1.2' | '2'
  readonly backend?: 'dir' | 'linear'
  /** The state directory, or the linear file, which is made. */
  readonly path: string
  readonly key?: Buffer
  readonly backup?: boolean
  readonly sync?: boolean
  /** Of the dir backend; there is one by default, unless there is a backup. */
  readonly journal?: boolean
  /** Instead of the tree's own. */
  readonly program?: string
}

/** The engine has said READY, and has its key. Nothing else has happened. */
export async function startEngineTpm(options: EngineTpmOptions): Promise<EngineClient> {
  const { tpmVersion = '2', backend = 'dir', path, key, backup = false, sync = true, program } = options
  const journal = options.journal ?? (backend === 'dir' && !backup)
  const { O_RDONLY, O_DIRECTORY, O_RDWR, O_CREAT } = constants
  const stateFd = openSync(path, backend === 'dir' ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT, 0o600)
  const settings: EngineOptions = {
    ...ENGINE_DEFAULTS,
    ...{ tpmVersion, backend, stateFd, sync, backup, journal, autoShutdown: false },
  }
  const usual = process.env.SWTPM_ENGINE
  if (program !== undefined) process.env.SWTPM_ENGINE = program
  const spawner = new Spawner({ logFd: undefined, user: undefined, seccomp: 'none' })
  const engine = new EngineClient(spawner, settings)
  engine.once('exit', () => spawner.close())
  if (program !== undefined) process.env.SWTPM_ENGINE = usual ?? ''
  closeSync(stateFd)
  engine.start()
  await new Promise<void>((resolve, reject) => {
    engine.once('ready', resolve)
    engine.once('exit', (reason) => reject(new Error(`the engine ended: ${reason}`)))
  })
  if (key !== undefined) await engine.setKey('file', Buffer.from(key))
  return engine
}

/** Room in NV memory for 2048 bytes. */
export const defineLarge = (index: number): Buffer =>
  tpm2(
    0x12a,
    ['40000001', '00000009 40000009 0000 00 0000', 0, 14, hex32(index), '000b 02040004', 0, 2048],
    true,
  )

/** 32 bytes that carry a number, and differ everywhere from those of another number. */
export function numbered(sequence: number): Buffer {
  const data = Buffer.alloc(32, sequence % 251)
  data.writeUInt32BE(sequence)
  return data
}

/** How the tests write to a TPM of one version, and look at it. */
export interface Nv {
  readonly startup: Buffer
  readonly define: Buffer
  write(sequence: number): Buffer
  readonly read: Buffer
  /** The number in a response to {@link read}; -1 when there is no such index. */
  sequence(response: Buffer): number
}

export const NV: { readonly [version in '1.2' | '2']: Nv } = {
  '2': {
    startup: TPM2.startupClear,
    // Without protection against dictionary attacks: that counts every power cut as a failed attempt.
    define: tpm2(
      0x12a,
      ['40000001', '00000009 40000009 0000 00 0000', 0, 14, '01500001 000b 02040004', 0, 32],
      true,
    ),
    write: (sequence) => TPM2.nvWrite(numbered(sequence)),
    read: TPM2.nvRead(),
    sequence: (response) => sequenceAt(response, 16, 0x18b),
  },
  '1.2': {
    startup: TPM12.startupClear,
    // TPM_NV_DATA_PUBLIC: tag, index, two TPM_PCR_INFO_SHORT, attributes (writing takes physical presence), flags, size
    define: tpm12(
      0xcc,
      `0018 00001000 ${'0003 000000 1f 0000000000000000000000000000000000000000'.repeat(2)} 0017 00000001 00 00 00 00000020 0000000000000000000000000000000000000000`,
    ),
    write: (sequence) => tpm12(0xcd, `00001000 00000000 00000020 ${numbered(sequence).toString('hex')}`),
    read: tpm12(0xcf, '00001000 00000000 00000020'),
    sequence: (response) => sequenceAt(response, 14, 0x2),
  },
}

function sequenceAt(response: Buffer, offset: number, missing: number): number {
  const code = responseCode(response)
  if (code === missing) return -1
  // Defined, never written.
  if (code === 0x14a) return 0
  if (code !== 0) throw new Error(`reading the NV index: response code 0x${code.toString(16)}`)
  const data = response.subarray(offset, offset + 32)
  const sequence = data.readUInt32BE()
  if (sequence === 0xffffffff) return 0
  if (!data.equals(numbered(sequence))) throw new Error(`the NV index holds ${data.toString('hex')}`)
  return sequence
}

/** An ECC primary key of the owner; its public point follows from the seed, so it is the TPM's identity. */
export const createPrimaryEcc = tpm2(
  0x131,
  [
    ...['40000001', '00000009 40000009 0000 00 0000', 4, 0, 0],
    // TPMT_PUBLIC: ECC, SHA-256, restricted storage key, AES-128-CFB, P-256
    ...[26, '0023 000b 00030072 0000 0006 0080 0043 0010 0003 0010', 0, 0],
    ...[0, '00000000'],
  ],
  true,
)

/** A client that sends its commands through the engine channel. */
const clientOf = (engine: EngineClient): TpmClient =>
  new TpmClient({
    async exchange(command) {
      const { tpmResult, response } = await engine.process(Buffer.from(command))
      if (tpmResult !== 0) throw new Error(`the engine answered ${tpmResult}`)
      return response
    },
  })

/** @throws when there is no response */
export const ask = (engine: EngineClient, command: Buffer): Promise<Buffer> => clientOf(engine).ask(command)

/** Makes sure that the TPM answers `command` with success. @returns the response */
export const succeed = (engine: EngineClient, command: Buffer, what: string): Promise<Buffer> =>
  clientOf(engine).succeed(command, what)
