/** `swtpm doctor` on a kernel that has the modules: what it says is what a start then does. test/ktest/doctor.test.ts takes them away. */
import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { test } from 'node:test'
import { startCuseTpm } from '../support/cuse-tpm.ts'
import { diagnosed, runDoctor } from '../support/doctor.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'

test('both devices work, and are made', async (t) => {
  const { status, stdout } = runDoctor(['cuse', 'vtpm-proxy'])
  assert.equal(status, 0, stdout)
  assert.match(stdout, /^cuse: works/)
  assert.match(stdout, /^vtpm-proxy: works/m)
  const cuse = await startCuseTpm(t)
  await cuse.swtpm.stop()
  const proxy = await startProxyTpm(t)
  await proxy.swtpm.stop()
})

test('another user is told what only root may', () => {
  const { status, stdout } = runDoctor(['cuse', 'vtpm-proxy'], {}, { uid: 65_534, gid: 65_534 })
  assert.equal(status, 1)
  assert.match(stdout, /\/dev\/cuse cannot be opened \(permission denied/)
  assert.match(stdout, /CAP_SYS_ADMIN/)
})

test('a node that is missing is told from a module that is', (t) => {
  renameSync('/dev/cuse', '/dev/cuse-away')
  t.after(() => renameSync('/dev/cuse-away', '/dev/cuse'))
  const device = diagnosed('cuse')[0]?.checks.find(({ id }) => id === 'device')
  assert.match(device?.text ?? '', /the kernel has it, and only the node is missing/)
  assert.match(device?.mend ?? '', /^mknod \/dev\/cuse c 10 \d+$/)
})
