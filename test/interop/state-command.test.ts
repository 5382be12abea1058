/** `swtpm state` on states of Debian's swtpm, and Debian's swtpm on what it has made. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startPoweredTpm } from '../support/powered-tpm.ts'
import { runState, shown } from '../support/state-command.ts'
import { type Cleanup, REFERENCE_SWTPM, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

const withoutReference = existsSync(REFERENCE_SWTPM)
  ? false
  : `${REFERENCE_SWTPM} is missing: apt-get install swtpm`
const program = REFERENCE_SWTPM

function keyFile(t: Cleanup, bytes: number): string {
  const path = join(temporaryDirectory(t), 'key')
  writeFileSync(path, randomBytes(bytes).toString('hex'))
  return path
}

async function debianState(t: Cleanup, args: readonly string[]): Promise<string> {
  const tpm = await startPoweredTpm(t, args, { program })
  await tpm.writeNv()
  await tpm.shutDown()
  return tpm.directory
}

describe('swtpm state and Debian’s swtpm', { skip: withoutReference }, () => {
  for (const bits of [undefined, 128, 256] as const) {
    it(`show, verify, backup, convert: ${bits === undefined ? 'no key' : `${bits} bits`}`, async (t) => {
      const key = bits === undefined ? [] : ['--key', `file=${keyFile(t, bits / 8)},mode=aes-${bits}-cbc`]
      const directory = await debianState(t, key)
      const { contents, states } = shown(directory, ...key)
      assert.equal(contents?.nv[0]?.index, '0x01500001')
      assert.equal(states[0]?.encryption?.file, bits && `aes-${bits}-cbc`)
      assert.equal(runState('verify', directory, ...key).status, 0)
      const folder = temporaryDirectory(t)
      const [copy, file, back] = ['copy', 'file', 'back'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ]
      assert.equal(runState('backup', directory, copy).status, 0)
      assert.equal(runState('convert', copy, file).status, 0)
      assert.equal(runState('convert', file, back, '--tpm2').status, 0)
      const again = await startPoweredTpm(t, key, { program, directory: back })
      await again.checkNv()
      await again.shutDown()
    })
  }

  it('it starts on what rekey has encrypted, and on what is in the clear again', async (t) => {
    const directory = await debianState(t, [])
    const key = `file=${keyFile(t, 32)},mode=aes-256-cbc`
    assert.equal(runState('rekey', directory, '--new-key', key).status, 0)
    const encrypted = await startPoweredTpm(t, ['--key', key], { program, directory })
    await encrypted.checkNv()
    await encrypted.shutDown()
    assert.equal(runState('rekey', directory, '--key', key, '--no-key').status, 0)
    const plain = await startPoweredTpm(t, [], { program, directory })
    await plain.checkNv()
    await plain.shutDown()
  })

  it('it is seen while it runs', async (t) => {
    const tpm = await startPoweredTpm(t, [], { program })
    await tpm.writeNv()
    const { contents, place } = shown(tpm.directory)
    assert.equal(contents?.nv.length, 1)
    // Release 0.7 locks its state, later ones too.
    assert.equal(place.usedBy, tpm.swtpm.pid)
    assert.match(runState('convert', tpm.directory).stderr, /held by process/)
    await tpm.checkNv()
    await tpm.shutDown()
  })

  for (const whose of ['Debian’s', 'ours'] as const) {
    it(`a TPM 1.2, ${whose}`, async (t) => {
      const options = whose === 'ours' ? {} : { program }
      const { swtpm, directory } = await startSocketTpm(
        t,
        ['--flags', 'not-need-init,startup-clear'],
        options,
      )
      await waitFor(() => existsSync(join(directory, 'tpm-00.permall')), { what: 'a permanent state' })
      await swtpm.stop()
      const { tpmVersion, contents, faults } = shown(directory)
      assert.deepEqual(faults, [])
      assert.equal(tpmVersion, '1.2')
      assert.deepEqual(contents?.authorizationSet, { owner: false })
      assert.deepEqual(contents?.pcrBanks, [{ algorithm: 'sha1', active: true }])
      const key = `file=${keyFile(t, 16)}`
      assert.equal(runState('rekey', directory, '--new-key', key).status, 0)
      assert.equal(runState('verify', directory, '--key', key).status, 0)
      const file = join(temporaryDirectory(t), 'linear')
      assert.equal(runState('convert', directory, file).status, 0)
      assert.equal(shown(file, '--key', key).tpmVersion, '1.2')
      assert.match(runState('convert', file, `${file}.back`).stderr, /say --tpm2 or --tpm12/)
      assert.equal(runState('convert', file, `${file}.back`, '--tpm12').status, 0)
      assert.equal(runState('verify', `${file}.back`, '--key', key).status, 0)
    })
  }
})
