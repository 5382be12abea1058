/** CANCEL and its neighbours: it ends the command that it was sent for and no other, and it waits for no disk. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deepInWork, enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { engineWith, noCompiler } from './support/preload.ts'

const CANCEL_TPM_CMD = '00000009'
const TPM_RC_CANCELED = 0x909
const TPM_RC_RETRY = 0x922

/** Keys that the TPM needs some time for; a few are found at once. */
const slowKey = (n: number): Buffer => TPM2.createPrimaryRsa(2048, Buffer.from(`key ${n}`))

describe('CANCEL_TPM_CMD', { skip: noCompiler() }, () => {
  it('does not end the next command when its own has ended meanwhile', async (t) => {
    const engine = engineWith(temporaryDirectory(t), 'late-cancel.c')
    const { swtpm, dataPath, controlPath } = await startSocketTpm(t, undefined, {
      env: { SWTPM_ENGINE: engine },
    })
    const data = await RawConnection.open(dataPath)
    const control = await RawConnection.open(controlPath)
    const pid = await enginePid(swtpm.pid)
    const ask = async (command: Buffer): Promise<Buffer> => {
      for (;;) {
        data.write(command)
        const response = await data.readResponse()
        if (responseCode(response) !== TPM_RC_RETRY) return response
      }
    }
    const flush = async (created: Buffer): Promise<void> =>
      assert.equal(responseCode(await ask(TPM2.flushContext(created.readUInt32BE(10)))), 0)
    for (let n = 0; ; n++) {
      const first = ask(slowKey(n))
      const early = await Promise.race([first, deepInWork(pid)])
      if (early !== undefined) {
        await flush(early)
        continue
      }
      control.write(CANCEL_TPM_CMD)
      const ended = await first
      assert.ok([0, TPM_RC_CANCELED].includes(responseCode(ended)))
      if (responseCode(ended) === 0) await flush(ended)
      assert.equal(responseCode(await ask(slowKey(n + 1))), 0)
      assert.equal((await control.read(4)).readUInt32BE(), 0)
      break
    }
    assert.equal(await swtpm.stop(), 0)
  })
})
