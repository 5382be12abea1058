/** `swtpm cuse --ioctl-users`: whose ioctls control the TPM. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { openDevice, startCuseTpm } from '../support/cuse-tpm.ts'
import { bin, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const NOBODY = 65_534
/** The user that a TPM runs as, and that owns it. */
const OWNER = 1

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

it('owner: takes verbs of root and of the user that it runs as, and of nobody else', async (t) => {
  const directory = temporaryDirectory(t)
  execFileSync('chown', [`${OWNER}`, directory])
  const args = ['--tpm2', '--flags', 'startup-clear', '--ioctl-users', 'owner', '--runas', `${OWNER}`]
  const { path } = await startCuseTpm(t, args, directory)
  chmodSync(path, 0o666)
  const ask = (uid: number): void => {
    const device = openDevice(t, path)
    try {
      process.seteuid?.(uid)
      assert.equal(device.verb('GET_CONFIG').tpmResult, 0)
    } finally {
      process.seteuid?.(0)
      device.close()
    }
  }
  ask(0)
  ask(OWNER)
  assert.throws(() => ask(NOBODY), /EPERM|not permitted/i)
})

it('swtpm cdi write warns of a device whose users control the TPM', async (t) => {
  const { path } = await startCuseTpm(t)
  const directory = join(temporaryDirectory(t), 'cdi')
  const write = (device: string) =>
    spawnSync(bin('swtpm'), ['cdi', 'write', '--name', 'web', '--device', device, '--dir', directory], {
      encoding: 'utf8',
    })
  const { status, stderr } = write(path)
  assert.equal(status, 0, stderr)
  assert.match(stderr, new RegExp(`"${path}" is a device of CUSE: a container that has it controls the TPM`))
  assert.deepEqual([write('/dev/null').status, write('/dev/null').stderr], [0, ''])
})
