/** Connections that a client hands in over the control channel, one after the other. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startControlTpm } from '../support/control-tpm.ts'
import { enginePid } from '../support/processes.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { waitFor } from '../support/wait.ts'

it('leave no descriptors behind, whether they are closed first or refused', async (t) => {
  const { swtpm, controlPath } = await startControlTpm(t, ['--tpm2', '--flags', 'startup-clear'])
  const vmm = new VmmClient(t, controlPath)
  const processes = [swtpm.pid, await enginePid(swtpm.pid)]
  const open = (): number[] => processes.map((pid) => readdirSync(`/proc/${pid}/fd`).length)
  const rounds = async (count: number): Promise<number[]> => {
    for (let i = 0; i < count; i++) {
      const data = await vmm.handInData()
      assert.equal(responseCode(await data.command(TPM2.getRandom())), 0)
      // One is being served.
      await assert.rejects(vmm.handInData(), /SET_DATAFD: 0000001f/)
      data.close()
      // The engine may not have heard of that yet.
      await waitFor(async () => (await vmm.control(CMD.GET_CONFIG, 8)) && idle(), {
        what: 'the end of the connection',
      })
    }
    return open()
  }
  // Its answer shows that the control connection has been accepted, and is counted.
  await vmm.control(CMD.GET_CONFIG, 8)
  const idleCounts = open()
  const idle = (): boolean => open().every((count, i) => count <= (idleCounts[i] as number))
  const [supervisor = 0, engine = 0] = await rounds(3)
  const [after = 0, engineAfter = 0] = await rounds(40)
  assert.ok(
    after <= supervisor && engineAfter <= engine,
    `${supervisor} → ${after}, ${engine} → ${engineAfter}`,
  )
})
