// What the Linux TPM driver does with a TPM that is busy, late, cut short or broken. As root, on a kernel with tpm_vtpm_proxy:
//
//     node --test examples/driver.test.mjs

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createTpm, RC, recording, vtpmProxy } from 'swtpm'
import { delay } from 'swtpm/faults'

const GET_RANDOM_8 = '80010000000c0000017b0008'
const GET_CAPABILITY = '8001000000160000017a000000060000010000000001'

/** A TPM with a device of the kernel; both are gone after the test. */
async function kernelTpm(t, options) {
  const tpm = await createTpm(options)
  t.after(() => tpm.close())
  return { tpm, device: await tpm.expose(vtpmProxy()) }
}

test('the driver asks a busy TPM again, and gives up after eight times', async (t) => {
  const { tpm, device } = await kernelTpm(t)
  const busy = tpm.fault('GetRandom[bytesRequested=8]: rc=RETRY')
  const { code } = await device.exchange(GET_RANDOM_8)
  assert.equal(code, RC.RETRY)
  assert.equal(busy.struck, 8)
})

test('a TPM that answers too late costs one ETIME and nothing more', async (t) => {
  const { tpm, device } = await kernelTpm(t)
  const late = tpm.on('GetCapability', delay(5000))
  await assert.rejects(device.exchange(GET_CAPABILITY), { code: 'ETIME' })
  late[Symbol.dispose]()
  assert.equal((await device.exchange(GET_RANDOM_8)).code, RC.SUCCESS)
})

// tpm: Clean up TPM space after command failure (CVE-2024-49851)
test('the resource manager flushes what a failed command had loaded', async (t) => {
  const { tpm, device } = await kernelTpm(t)
  const manager = await device.openResourceManager()
  t.after(() => manager.close())
  const created = await manager.exchange(CREATE_PRIMARY_ECC)
  assert.equal(created.code, RC.SUCCESS)
  const handle = created.bytes.readUInt32BE(10)
  tpm.fault('ReadPublic#1: truncate=20')
  await assert.rejects(manager.exchange(readPublic(handle)))
  assert.deepEqual(await tpm.handles('transient'), [])
})

test('there is no device for a TPM in failure mode', async (t) => {
  const tpm = await createTpm({ mode: 'failure' })
  t.after(() => tpm.close())
  await assert.rejects(tpm.expose(vtpmProxy()), { code: 'SWTPM_ERR_DEVICE' })
})

// A recording of a boot plays the TPM of a bug report, for a kernel that need not have the hardware.
test('the TPM of a recording is a device', async (t) => {
  const boot = new URL('../test/vectors/recordings/boot-6.12.tpmrec', import.meta.url)
  const { device } = await kernelTpm(t, {
    behind: recording(fileURLToPath(boot), { otherwise: 'FAILURE', fast: true }),
  })
  assert.match(device.path, /^\/dev\/tpm\d+$/)
})

/** TPM2_CreatePrimary in the owner hierarchy with an empty password: an ECC key P-256 that can be a parent. */
const CREATE_PRIMARY_ECC = [
  '8002 00000043 00000131 40000001',
  '00000009 40000009 0000 00 0000',
  '0004 0000 0000',
  '001a 0023 000b 00030072 0000 0006 0080 0043 0010 0003 0010 0000 0000',
  '0000 00000000',
].join(' ')

/** @param {number} handle */
const readPublic = (handle) => `80010000000e00000173${handle.toString(16)}`
