/** Connections that a client hands in over the control channel, one after the other. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startControlTpm } from '../support/control-tpm.ts'
import { descendants } from '../support/processes.ts'
import { ASLEEP, AWAKE, isAwake } from '../support/rest.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { waitFor } from '../support/wait.ts'

/** How many a process has; nothing for one that has ended meanwhile, as Node does that goes to rest. */
function openDescriptors(pid: number): number[] {
  try {
    return [readdirSync(`/proc/${pid}/fd`).length]
  } catch {
    return []
  }
}

describe('leave no descriptors behind, whether they are closed first or refused', () => {
  for (const { form, env, count } of [
    { form: 'keeper, Node and engine', env: AWAKE, count: 40 },
    { form: 'keeper and engine at rest', env: ASLEEP, count: 5 },
  ]) {
    it(form, async (t) => {
      const options = { env }
      const { swtpm, controlPath } = await startControlTpm(t, ['--tpm2', '--flags', 'startup-clear'], options)
      const vmm = new VmmClient(t, controlPath)
      const open = (): number[] => [swtpm.pid, ...descendants(swtpm.pid)].flatMap(openDescriptors)
      const settled = (): boolean => env === AWAKE || !isAwake(swtpm.pid)
      // Its answer shows that the control connection has been accepted, and is counted.
      await vmm.control(CMD.GET_CONFIG, 8)
      await waitFor(settled, { what: 'Node to rest' })
      const before = open()
      const isAsBefore = (): boolean => settled() && open().every((now, i) => now <= (before[i] as number))
      for (let i = 0; i < count; i++) {
        const data = await vmm.handInData()
        assert.equal(responseCode(await data.command(TPM2.getRandom())), 0)
        // One is being served.
        await assert.rejects(vmm.handInData(), /SET_DATAFD: 0000001f/)
        data.close()
        // The engine may not have heard of that yet. Each process has as many as before the first one.
        await waitFor(isAsBefore, { what: `the end of connection ${i}: ${before} → ${open()}` })
      }
    })
  }
})
