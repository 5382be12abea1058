/** CANCEL and its neighbours: it ends the command that it was sent for and no other, and it waits for no disk. */

import assert from 'node:assert/strict'
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { noCompiler } from '../support/compilers.ts'
import { CMD } from '../support/control-commands.ts'
import { deepInWork, enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { NV, startEngineTpm, succeed } from './support/engine-tpm.ts'
import { engineWith } from './support/preload.ts'

const { CANCEL_TPM_CMD } = CMD
const TPM_RC_CANCELED = 0x909

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
    const client = new TpmClient(data)
    const ask = (command: Buffer): Promise<Buffer> => client.ask(command)
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

  it('is answered while a request before it waits for the disk', async (t) => {
    const directory = temporaryDirectory(t)
    const shared = join(temporaryDirectory(t), 'shared')
    writeFileSync(shared, Buffer.alloc(2))
    const state = openSync(shared, 'r+')
    const hold = (on: boolean): number => writeSync(state, Buffer.of(on ? 1 : 0), 0, 1, 0)
    const held = (): boolean => {
      const byte = Buffer.alloc(1)
      readSync(state, byte, 0, 1, 1)
      return byte[0] !== 0
    }
    const program = engineWith(temporaryDirectory(t), 'held-fsync.c', { HELD_FSYNC: shared })
    const engine = await startEngineTpm({ path: directory, program })
    t.after(async () => {
      hold(false)
      await engine.close()
      closeSync(state)
    })
    assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
    // Leaves a journal, which has to be ended before another process may have the state.
    for (const command of [NV['2'].startup, NV['2'].define, NV['2'].write(1)]) {
      await succeed(engine, command, 'setting up')
    }
    const [ours, theirs] = check(native.socketPair(), 'make a data connection')
    assert.equal(await engine.attach('stream', theirs), 0)
    closeSync(theirs)
    const data = RawConnection.on(new Socket({ fd: ours }))
    t.after(() => data.close())
    const pid = await waitFor(() => engine.pid, { what: 'the number of its process' })

    const client = new TpmClient(data)
    const ask = (command: Buffer): Promise<Buffer> => client.ask(command)
    for (let n = 0; ; n++) {
      const response = ask(TPM2.createPrimaryRsa(3072, Buffer.from(`key ${n}`)))
      const early = await Promise.race([response, deepInWork(pid as number)])
      if (early !== undefined) {
        assert.equal(responseCode(await ask(TPM2.flushContext(early.readUInt32BE(10)))), 0)
        continue
      }
      hold(true)
      const unlocked = engine.setStorage(false)
      await waitFor(held, { what: 'SET_STORAGE to wait for the disk' })
      let answers = 0
      const config = engine.verb('GET_CONFIG', {}).finally(() => answers++)
      const cancelled = engine.verb('CANCEL_TPM_CMD', {}).finally(() => answers++)
      await waitFor(() => answers === 2, { what: 'GET_CONFIG and CANCEL to be answered', timeoutMs: 20_000 })
      assert.ok(held())
      assert.equal((await config).tpmResult, 0)
      assert.equal((await cancelled).tpmResult, 0)
      hold(false)
      assert.equal(await unlocked, 0)
      assert.ok([0, TPM_RC_CANCELED].includes(responseCode(await response)))
      break
    }
  })
})
