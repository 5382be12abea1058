/** Cloud Hypervisor's way to start and use the TPM, message by message. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startControlTpm } from '../support/control-tpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { waitFor } from '../support/wait.ts'

describe('Cloud Hypervisor', () => {
  it('finds what it asks for, in its order', async (t) => {
    // As its documentation starts swtpm.
    const { swtpm, controlPath } = await startControlTpm(t, ['--flags', 'startup-clear', '--tpm2'])
    const vmm = new VmmClient(t, controlPath)
    // It insists on the exact length of every answer, and reads each with one recv().
    const data = await vmm.handInData()

    const capabilities = Number.parseInt((await vmm.control(CMD.GET_CAPABILITY, 8)).slice(8), 16)
    const required = [0, 1, 2, 3, 7, 12, 10, 13].reduce((mask, bit) => mask | (1 << bit), 0)
    assert.equal(capabilities & required, required)

    // Before any INIT of its own, and anything but "not established" ends it.
    assert.equal((await vmm.control(CMD.GET_TPMESTABLISHED, 8)).slice(0, 10), '0000000000')

    // The device model asks for the buffer size, then starts the TPM with its own.
    for (const size of ['00000000', '00000f80']) {
      assert.equal(await vmm.control(CMD.STOP), '00000000')
      const sizes = await vmm.control(`${CMD.SET_BUFFERSIZE} ${size}`, 16)
      assert.equal(sizes.slice(0, 8), '00000000')
      if (size === '00000f80') assert.equal(sizes.slice(8, 16), size)
    }
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')

    assert.equal(responseCode(await data.command(TPM2.startupClear)), 0)
    assert.equal(responseCode(await data.command(TPM2.getRandom(32))), 0)
    assert.equal(await vmm.control(CMD.CANCEL_TPM_CMD), '00000000')
    assert.equal(responseCode(await data.command(TPM2.pcrRead(0))), 0)

    // It goes without a word; another one may come.
    data.close()
    vmm.close()
    const next = new VmmClient(t, controlPath)
    const nextData = await waitFor(() => next.handInData().catch(() => undefined), { what: 'a free place' })
    assert.equal(responseCode((await nextData?.command(TPM2.getRandom())) ?? Buffer.alloc(0)), 0)
    assert.equal(await swtpm.stop(), 0)
  })
})
