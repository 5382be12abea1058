/** State directories go back and forth between Debian's swtpm and ours, both TPM versions. */

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type Cleanup, REFERENCE_SWTPM, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2, TPM12, tpm12 } from '../support/tpm-commands.ts'

const skip = existsSync(REFERENCE_SWTPM) ? false : `${REFERENCE_SWTPM} is missing: apt-get install swtpm`

type Commands = (command: Buffer) => Promise<Buffer>

/** Runs `work` on a TPM in `directory`, then stops it cleanly. */
async function onTpm(
  t: Cleanup,
  directory: string,
  program: string | undefined,
  backend: 'dir' | 'file',
  args: string[],
  work: (command: Commands) => Promise<void>,
): Promise<void> {
  const options = program === undefined ? { directory, backend } : { directory, backend, program }
  const { swtpm, dataPath } = await startSocketTpm(t, [...args, '--flags', 'startup-clear'], options)
  const client = await TpmClient.open(dataPath)
  await work((command) => client.ask(command))
  // Debian's version spins after SIGTERM if its client has gone, so the signal goes first.
  const ended = swtpm.stop()
  client.connection.close()
  assert.equal(await ended, 0)
}

const content = Buffer.from('thirty-two bytes that must stay.')

async function fill2(command: Commands): Promise<void> {
  assert.equal(responseCode(await command(TPM2.nvDefine())), 0)
  assert.equal(responseCode(await command(TPM2.nvWrite(content))), 0)
}

async function check2(command: Commands): Promise<void> {
  const read = await command(TPM2.nvRead())
  assert.equal(responseCode(read), 0)
  assert.deepEqual(read.subarray(16, 48), content)
}

/** The public part of a primary key, which depends on the seeds in the state. */
const primaryKey = async (command: Commands): Promise<Buffer> => {
  const response = await command(TPM2.createPrimaryRsa(2048, Buffer.from('same seed, same key')))
  assert.equal(responseCode(response), 0)
  const length = response.readUInt16BE(18)
  return response.subarray(20, 20 + length)
}

/** TPM 1.2 without an owner: NV index 0x10 of 32 bytes, written as the platform may before NV is locked. */
const nvDefine12 = tpm12(
  0xcc,
  // TPM_NV_DATA_PUBLIC: tag, index, two TPM_PCR_INFO_SHORT, attributes (writing takes physical presence), flags, size
  `0018 00001000 ${'0003 000000 1f 0000000000000000000000000000000000000000'.repeat(2)} 0017 00000001 00 00 00 00000020 0000000000000000000000000000000000000000`,
)
const nvWrite12 = tpm12(0xcd, `00001000 00000000 00000020 ${content.toString('hex')}`)
const nvRead12 = tpm12(0xcf, '00001000 00000000 00000020')

async function fill12(command: Commands): Promise<void> {
  assert.equal(responseCode(await command(nvDefine12)), 0)
  assert.equal(responseCode(await command(nvWrite12)), 0)
}
async function check12(command: Commands): Promise<void> {
  const read = await command(nvRead12)
  assert.equal(responseCode(read), 0)
  assert.deepEqual(read.subarray(14, 46), content)
  assert.equal(responseCode(await command(TPM12.getRandom())), 0)
}

describe('state files', { skip }, () => {
  for (const backend of ['dir', 'file'] as const) {
    for (const [from, to, writer, reader] of [
      ["Debian's swtpm", 'ours', REFERENCE_SWTPM, undefined],
      ['ours', "Debian's swtpm", undefined, REFERENCE_SWTPM],
    ] as const) {
      it(`TPM 2.0 in a ${backend}: written by ${from}, read by ${to}`, async (t) => {
        const directory = temporaryDirectory(t)
        let primary: Buffer | undefined
        await onTpm(t, directory, writer, backend, ['--tpm2'], async (command) => {
          await fill2(command)
          primary = await primaryKey(command)
        })
        await onTpm(t, directory, reader, backend, ['--tpm2'], async (command) => {
          await check2(command)
          assert.deepEqual(await primaryKey(command), primary)
        })
      })

      it(`TPM 1.2 in a ${backend}: written by ${from}, read by ${to}`, async (t) => {
        const directory = temporaryDirectory(t)
        await onTpm(t, directory, writer, backend, [], fill12)
        await onTpm(t, directory, reader, backend, [], check12)
      })
    }
  }
})
