/** QEMU boots Debian's kernel with our TPM behind `-tpmdev emulator`. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { startControlTpm } from '../support/control-tpm.ts'
import { QemuGuest } from '../support/qemu-guest.ts'
import { makeGuestImage, withoutQemu } from '../support/qemu-image.ts'
import { responseCode, TPM2, TPM12 } from '../support/tpm-commands.ts'

const digest = (algorithm: string, ...parts: Uint8Array[]): Buffer =>
  createHash(algorithm).update(Buffer.concat(parts)).digest()

const content = Buffer.from('thirty-two bytes that must stay.')

describe('QEMU boots Debian with', { skip: withoutQemu, timeout: 600_000 }, () => {
  for (const device of ['tpm-crb', 'tpm-tis'] as const) {
    it(`a TPM 2.0 behind ${device}`, async (t) => {
      const { swtpm, controlPath } = await startControlTpm(t, ['--tpm2', '--terminate'])
      const image = await makeGuestImage(t)
      const guest = await QemuGuest.start(t, { image, controlPath, device })
      const pcr = async (index: number): Promise<string> =>
        (await guest.shell(`cat /sys/class/tpm/tpm0/pcr-sha256/${index}`)).trim().toLowerCase()

      assert.equal(await guest.shell('cat /sys/class/tpm/tpm0/tpm_version_major'), '2\n')
      assert.notEqual(await pcr(0), '0'.repeat(64), 'the firmware has measured itself')
      assert.equal(await pcr(16), '0'.repeat(64))

      const event = digest('sha256', Buffer.from('an event'))
      assert.equal(responseCode(await guest.tpm(TPM2.pcrExtend(16, event))), 0)
      assert.equal(await pcr(16), digest('sha256', Buffer.alloc(32), event).toString('hex'))
      assert.equal(responseCode(await guest.tpm(TPM2.nvDefine())), 0)
      assert.equal(responseCode(await guest.tpm(TPM2.nvWrite(content))), 0)

      // The reset button: PCRs begin anew, NV memory stays.
      const measured = await pcr(0)
      await guest.reset()
      assert.equal(await pcr(0), measured)
      assert.equal(await pcr(16), '0'.repeat(64))
      assert.deepEqual((await guest.tpm(TPM2.nvRead())).subarray(16, 48), content)

      await guest.quit()
      assert.equal(await swtpm.exited, 0, swtpm.stderr)
      assert.equal(swtpm.stderr, '')
    })
  }

  it('a TPM 1.2 behind tpm-tis', async (t) => {
    const image = await makeGuestImage(t)
    const { swtpm, controlPath } = await startControlTpm(t, ['--terminate'])
    const guest = await QemuGuest.start(t, { image, controlPath, device: 'tpm-tis' })
    const pcr = async (index: number): Promise<string> => {
      const line = await guest.shell(`grep PCR-${index}: /sys/class/tpm/tpm0/pcrs`)
      return line
        .replace(/^PCR-\d+:/, '')
        .replace(/\s/g, '')
        .toLowerCase()
    }
    assert.equal(await guest.shell('cat /sys/class/tpm/tpm0/tpm_version_major'), '1\n')
    assert.match(await guest.shell('cat /sys/class/tpm/tpm0/caps'), /TCG version: 1\.2/)
    assert.equal(await pcr(16), '0'.repeat(40))
    const event = digest('sha1', Buffer.from('an event'))
    assert.equal(responseCode(await guest.tpm(TPM12.extend(16, event))), 0)
    assert.equal(await pcr(16), digest('sha1', Buffer.alloc(20), event).toString('hex'))
    await guest.reset()
    assert.equal(await pcr(16), '0'.repeat(40))
    await guest.quit()
    assert.equal(await swtpm.exited, 0, swtpm.stderr)
    assert.equal(swtpm.stderr, '')
  })
})
