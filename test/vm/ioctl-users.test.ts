/** `swtpm cuse --ioctl-users`: whose ioctls control the TPM. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { openDevice, startCuseTpm } from '../support/cuse-tpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const NOBODY = 65_534

it('refuses verbs of others with EPERM, and serves their commands', async (t) => {
  const args = ['--tpm2', '--flags', 'startup-clear', '--ioctl-users', 'root']
  const { path } = await startCuseTpm(t, args)
  const device = openDevice(t, path)
  assert.ok(device.verb('GET_CAPABILITY').caps > 0n)
  process.seteuid?.(NOBODY)
  try {
    for (const verb of ['GET_CAPABILITY', 'CANCEL_TPM_CMD', 'STOP'] as const)
      assert.throws(() => device.verb(verb), /EPERM|not permitted/i, verb)
    assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  } finally {
    process.seteuid?.(0)
  }
  assert.equal(device.verb('STOP').tpmResult, 0)
})
