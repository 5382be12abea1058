/** The two devices on a real kernel, once each: what `npm test -- --quick` has of the kernel. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { openDevice, startCuseTpm } from '../support/cuse-tpm.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

test('CUSE: a device that is powered on by ioctl, answers, and goes with PTM_SHUTDOWN', async (t) => {
  const { swtpm, path } = await startCuseTpm(t)
  const device = openDevice(t, path)
  assert.equal(device.verb('INIT', { initFlags: 0 }).tpmResult, 0)
  assert.equal(responseCode(device.command(TPM2.startupClear)), 0)
  assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  assert.equal(device.verb('SHUTDOWN').tpmResult, 0)
  device.close()
  assert.equal(await swtpm.exited, 0, swtpm.stderr)
  await waitFor(() => !existsSync(path), { what: `${path} to go` })
})

test('vTPM proxy: a TPM of the kernel that answers, and goes with SIGTERM', async (t) => {
  const { swtpm, path } = await startProxyTpm(t)
  const device = openDevice(t, path)
  assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  device.close()
  assert.equal(await swtpm.stop(), 0, swtpm.stderr)
  await waitFor(() => !existsSync(path), { what: `${path} to go` })
})
