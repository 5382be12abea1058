/**
 * The TPM outlives its engine: killed at any point, or replaced by a newer program under running clients. What was
 * answered is there, what was not is not, or whole; and no client waits in vain. Devices: test/vm/succession.test.ts.
 */

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { copyFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { noCompiler } from '../support/compilers.ts'
import { CMD } from '../support/control-commands.ts'
import { startControlTpm } from '../support/control-tpm.ts'
import {
  deepInWork,
  descendants,
  enginePid,
  nameOf,
  nextEngine,
  replaceEngine,
} from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { AWAKE } from '../support/rest.ts'
import { projectRoot, type SocketTpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { handlesIn, responseCode, TPM2, TPM12 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { waitFor } from '../support/wait.ts'
import { startEngineTpm, succeed } from './support/engine-tpm.ts'
import { engineWith } from './support/preload.ts'
import { figure, scaled, seed } from './support/scale.ts'

const TPM_RC_CANCELED = 0x909
const TPM_RC_RETRY = 0x922
const TRANSIENT = 0x80000000
/** Fewer than the supervisor bears within a minute. */
const KILLS_PER_TPM = 6

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const extended = (times: number, digest: Buffer): Buffer =>
  Array.from({ length: times }).reduce<Buffer>((pcr) => sha256(pcr, digest), Buffer.alloc(32))

const DIGEST = sha256(Buffer.from('measured'))

class Client {
  readonly connection: RawConnection

  constructor(connection: RawConnection) {
    this.connection = connection
  }

  static async open(path: string): Promise<Client> {
    return new Client(await RawConnection.open(path))
  }

  async ask(command: Buffer): Promise<Buffer> {
    for (;;) {
      this.connection.write(command)
      const response = await this.connection.readResponse()
      if (responseCode(response) !== TPM_RC_RETRY) return response
    }
  }

  async succeed(command: Buffer): Promise<Buffer> {
    const response = await this.ask(command)
    assert.equal(responseCode(response), 0, response.toString('hex'))
    return response
  }

  async pcr(index: number): Promise<Buffer> {
    return (await this.succeed(TPM2.pcrRead(index))).subarray(-32)
  }
}

async function kill(tpm: SocketTpm): Promise<void> {
  const engine = await enginePid(tpm.swtpm.pid)
  process.kill(engine, 'SIGKILL')
  await nextEngine(tpm.swtpm.pid, engine)
}

/** A command that the engine is in the middle of. Some primes are found sooner than anybody can look. */
async function slowCommandAtWork(
  engine: number,
  ask: (command: Buffer) => Promise<Buffer>,
): Promise<{ response: Promise<Buffer> }> {
  for (;;) {
    const response = ask(TPM2.createPrimaryRsa(3072, randomBytes(8)))
    const early = await Promise.race([response, deepInWork(engine)])
    if (early === undefined) return { response }
    assert.equal(responseCode(early), 0)
    assert.equal(responseCode(await ask(TPM2.flushContext(early.readUInt32BE(10)))), 0)
  }
}

describe('an engine that is killed', () => {
  for (const backend of ['dir', 'file'] as const) {
    it(`leaves PCRs, keys, sessions and NV to the next (${backend})`, async (t) => {
      const key = join(temporaryDirectory(t), 'key')
      writeFileSync(key, '0123456789abcdef0123456789abcdef')
      const tpm = await startSocketTpm(
        t,
        ['--tpm2', '--flags', 'startup-clear', '--key', `file=${key},format=hex`],
        {
          backend,
        },
      )
      const before = await Client.open(tpm.dataPath)
      await before.succeed(TPM2.createPrimaryEcc)
      const session = (await before.succeed(TPM2.startPolicySession)).readUInt32BE(10)
      await before.succeed(TPM2.nvDefine())
      await before.succeed(TPM2.nvWrite(Buffer.alloc(32, 7)))
      for (let i = 0; i < 3; i++) await before.succeed(TPM2.pcrExtend(7, DIGEST))
      const random = (await before.succeed(TPM2.getRandom(32))).subarray(12)
      await kill(tpm)
      await before.connection.readToEnd()

      const after = await Client.open(tpm.dataPath)
      assert.deepEqual(await after.pcr(7), extended(3, DIGEST))
      assert.deepEqual(handlesIn(await after.succeed(TPM2.getHandles(TRANSIENT))), [TRANSIENT])
      await after.succeed(TPM2.readPublic(TRANSIENT))
      await after.succeed(TPM2.policyGetDigest(session))
      assert.deepEqual((await after.succeed(TPM2.nvRead())).subarray(16, 48), Buffer.alloc(32, 7))
      // The saved state has the generator's state in it; it must not say the same again.
      assert.notDeepEqual((await after.succeed(TPM2.getRandom(32))).subarray(12), random)
      after.connection.close()
      assert.equal(await tpm.swtpm.stop(), 0)
      assert.match(tpm.swtpm.stderr, /killed by SIGKILL\n.*new engine has taken over/)
    })
  }

  it('leaves a TPM 1.2 to the next', async (t) => {
    const tpm = await startSocketTpm(t, ['--flags', 'startup-clear'])
    const before = await Client.open(tpm.dataPath)
    const digest = createHash('sha1').update('measured').digest()
    await before.succeed(TPM12.extend(9, digest))
    const pcr = (await before.succeed(TPM12.pcrRead(9))).subarray(-20)
    await kill(tpm)
    const after = await Client.open(tpm.dataPath)
    assert.deepEqual((await after.succeed(TPM12.pcrRead(9))).subarray(-20), pcr)
  })

  it('does not take a virtual machine’s connection along, and its command ends at once', async (t) => {
    const tpm = await startControlTpm(t, ['--tpm2'])
    const vmm = new VmmClient(t, tpm.controlPath)
    const data = await vmm.handInData()
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.equal(responseCode(await data.command(TPM2.startupClear)), 0)
    assert.equal(responseCode(await data.command(TPM2.pcrExtend(7, DIGEST))), 0)
    // A key may be found just before the engine is killed.
    for (let kills = 1; ; kills++) {
      const engine = await enginePid(tpm.swtpm.pid)
      const { response } = await slowCommandAtWork(engine, (command) => data.command(command))
      process.kill(engine, 'SIGKILL')
      const answer = await response
      if (responseCode(answer) === 0 && kills < KILLS_PER_TPM) {
        await nextEngine(tpm.swtpm.pid, engine)
        assert.equal(responseCode(await data.command(TPM2.flushContext(answer.readUInt32BE(10)))), 0)
        continue
      }
      assert.equal(responseCode(answer), TPM_RC_CANCELED)
      break
    }
    assert.deepEqual((await data.command(TPM2.pcrRead(7))).subarray(-32), extended(1, DIGEST))
    assert.match(await vmm.control(CMD.GET_CONFIG, 8), /^00000000/)
  })

  it('takes no connection along that it was about to be given', async (t) => {
    const args = ['--tpm2', '--flags', 'startup-clear']
    const tpm = await startControlTpm(t, args, { env: AWAKE })
    const vmm = new VmmClient(t, tpm.controlPath)
    // It has the control connection, and all that it was started with.
    await vmm.control(CMD.GET_CONFIG, 8)
    const engine = await enginePid(tpm.swtpm.pid)
    const node = descendants(tpm.swtpm.pid).find((pid) => pid !== engine) as number
    const open = (): number => readdirSync(`/proc/${node}/fd`).length
    const before = open()
    process.kill(engine, 'SIGSTOP')
    const handedIn = vmm.handInData()
    await waitFor(() => open() > before, { what: 'the connection to be handed on' })
    process.kill(engine, 'SIGKILL')
    assert.equal(responseCode(await (await handedIn).command(TPM2.getRandom())), 0)
  })

  it('keeps the TPM off, or what a migration has brought, only where nothing is lost', async (t) => {
    const tpm = await startControlTpm(t, ['--tpm2'])
    const vmm = new VmmClient(t, tpm.controlPath)
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.equal(await vmm.control(CMD.STOP), '00000000')
    const engine = await enginePid(tpm.swtpm.pid)
    process.kill(engine, 'SIGKILL')
    await nextEngine(tpm.swtpm.pid, engine)
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    const blob = await vmm.controlWithData(`${CMD.GET_STATEBLOB} 00000001 00000001 00000000`)
    assert.equal(await vmm.control(CMD.STOP), '00000000')
    // The blob waits in the engine for the next INIT.
    const length = blob.slice(24, 32)
    assert.equal(
      await vmm.control(`${CMD.SET_STATEBLOB} 00000001 00000001 ${length} ${blob.slice(32)}`),
      '00000000',
    )
    process.kill(await enginePid(tpm.swtpm.pid), 'SIGKILL')
    assert.equal(await tpm.swtpm.exited, 1)
    assert.match(tpm.swtpm.stderr, /no complete saved state/)
  })

  it('is not followed by others without end', async (t) => {
    const tpm = await startSocketTpm(t)
    // What is answered here comes after all that the start has asked of the first engine.
    const control = await RawConnection.open(tpm.controlPath)
    control.write(CMD.GET_CONFIG)
    await control.read(8)
    const ended = tpm.swtpm.exited
    while (tpm.swtpm.running) {
      const engine = descendants(tpm.swtpm.pid).find((pid) => nameOf(pid) === 'tpm-engine')
      try {
        if (engine !== undefined) process.kill(engine, 'SIGKILL')
      } catch {
        // The one before, whose end has just been noticed.
      }
      await delay(5)
    }
    assert.equal(await ended, 1)
    assert.match(tpm.swtpm.stderr, /others did within a minute/, tpm.swtpm.stderr)
  })

  it('costs no acknowledged command, whenever that is', async (t) => {
    const kills = scaled(24, 300)
    let random = seed
    const next = (): number => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0
      return random / 2 ** 32
    }
    let commands = 0
    for (let done = 0; done < kills; done += KILLS_PER_TPM) {
      const tpm = await startSocketTpm(t)
      let client = await Client.open(tpm.dataPath)
      await client.succeed(TPM2.nvDefine())
      await client.succeed(TPM2.nvWrite(Buffer.alloc(32)))
      let extends_ = 0
      let writes = 0
      for (let round = 0; round < KILLS_PER_TPM; round++) {
        const engine = await enginePid(tpm.swtpm.pid)
        const killed = delay(5 + next() * 40).then(() => process.kill(engine, 'SIGKILL'))
        try {
          for (;;) {
            const data = Buffer.alloc(32)
            data.writeUInt32BE(writes + 1)
            await client.succeed(TPM2.pcrExtend(7, DIGEST))
            extends_++
            await client.succeed(TPM2.nvWrite(data))
            writes++
            commands += 2
          }
        } catch (error) {
          assert.match((error as Error).message, /connection ended|EPIPE/)
        }
        await killed
        await nextEngine(tpm.swtpm.pid, engine)
        client = await Client.open(tpm.dataPath)
        const pcr = await client.pcr(7)
        // The last one, unanswered, may have happened.
        if (!pcr.equals(extended(extends_, DIGEST))) assert.deepEqual(pcr, extended(++extends_, DIGEST))
        const stored = (await client.succeed(TPM2.nvRead())).readUInt32BE(16)
        assert.ok(stored === writes || stored === writes + 1, `${stored} instead of ${writes}`)
        writes = stored
      }
      client.connection.close()
      assert.equal(await tpm.swtpm.stop(), 0)
      const again = await startSocketTpm(t, undefined, { directory: tpm.directory })
      client = await Client.open(again.dataPath)
      assert.equal((await client.succeed(TPM2.nvRead())).readUInt32BE(16), writes)
      client.connection.close()
      assert.equal(await again.swtpm.stop(), 0)
    }
    figure('Engine killed under load, TPM goes on', `${kills} kills, ${commands} commands, 0 lost`)
  })
})

describe('an engine that is replaced', () => {
  it('is not missed by a client that keeps it busy', async (t) => {
    const tpm = await startSocketTpm(t)
    const client = await Client.open(tpm.dataPath)
    await client.succeed(TPM2.createPrimaryEcc)
    let extends_ = 0
    let replacing = true
    const load = (async () => {
      while (replacing) {
        await client.succeed(TPM2.pcrExtend(7, DIGEST))
        extends_++
        await client.succeed(TPM2.readPublic(TRANSIENT))
      }
    })()
    for (let i = 0; i < scaled(5, 50); i++) await replaceEngine(tpm.swtpm.pid)
    replacing = false
    await load
    assert.deepEqual(await client.pcr(7), extended(extends_, DIGEST))
    assert.ok(extends_ > 0)
    client.connection.close()
    assert.equal(await tpm.swtpm.stop(), 0)
  })

  it('finishes what it does, and can be told to cancel it', async (t) => {
    const tpm = await startSocketTpm(t)
    const client = await Client.open(tpm.dataPath)
    const control = await RawConnection.open(tpm.controlPath)
    const engine = await enginePid(tpm.swtpm.pid)
    await client.succeed(TPM2.getRandom())
    const { response } = await slowCommandAtWork(engine, (command) => client.ask(command))
    process.kill(tpm.swtpm.pid, 'SIGUSR2')
    await nextEngine(tpm.swtpm.pid, engine)
    control.write(CMD.CANCEL_TPM_CMD)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    assert.ok([0, TPM_RC_CANCELED].includes(responseCode(await response)))
    await client.succeed(TPM2.getRandom())
  })

  it('can be told to go before it serves', async (t) => {
    for (let i = 0; i < scaled(10, 100); i++) {
      const tpm = await startSocketTpm(t)
      const engine = await enginePid(tpm.swtpm.pid)
      process.kill(tpm.swtpm.pid, 'SIGUSR2')
      const client = await Client.open(tpm.dataPath)
      await client.succeed(TPM2.getRandom())
      await nextEngine(tpm.swtpm.pid, engine)
      await client.succeed(TPM2.getRandom())
      client.connection.close()
      assert.equal(await tpm.swtpm.stop(), 0, tpm.swtpm.stderr)
    }
  })

  it('does first what one engine has to do from start to end', async (t) => {
    const engine = await startEngineTpm({ path: temporaryDirectory(t) })
    t.after(() => engine.close())
    const first = await waitFor(() => engine.pid, { what: 'the number of its process' })
    const steps: string[] = []
    const engines = () => descendants(process.pid).filter((pid) => nameOf(pid) === 'tpm-engine')
    // The way a TPM is powered on: in the middle of it, its state is not there to be handed over.
    const start = engine.unbroken(async () => {
      await engine.setStorage(false)
      await engine.verb('INIT', { initFlags: 0 })
      const replacement = engine.replace().then(() => steps.push('replaced'))
      await waitFor(() => engines().length === 2, { what: 'the second engine' })
      await succeed(engine, TPM2.startupClear, 'Startup')
      assert.equal(engine.pid, first)
      await engine.setStorage(true)
      steps.push('started')
      return { replacement }
    })
    await (await start).replacement
    assert.deepEqual(steps, ['started', 'replaced'])
    assert.notEqual(engine.pid, first)
    await succeed(engine, TPM2.getRandom(), 'GetRandom')
  })

  it('leaves the next one the connection that followed another at once', async (t) => {
    const tpm = await startControlTpm(t, ['--tpm2'])
    const vmm = new VmmClient(t, tpm.controlPath)
    const before = await vmm.handInData()
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.equal(responseCode(await before.command(TPM2.startupClear)), 0)
    before.close()
    const after = await waitFor(() => vmm.handInData().catch(() => undefined), { what: 'a free place' })
    await replaceEngine(tpm.swtpm.pid)
    assert.equal(responseCode((await after?.command(TPM2.getRandom())) ?? Buffer.alloc(0)), 0)
  })

  it('stays where a migration has taken the state away', async (t) => {
    const tpm = await startControlTpm(t, ['--tpm2', '--migration', 'release-lock-outgoing'])
    const vmm = new VmmClient(t, tpm.controlPath)
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    for (const type of [1, 2, 3])
      await vmm.controlWithData(`${CMD.GET_STATEBLOB} 00000000 0000000${type} 00000000`)
    process.kill(tpm.swtpm.pid, 'SIGUSR2')
    await waitFor(() => tpm.swtpm.stderr.includes('Cannot replace the engine'), { what: 'the refusal' })
    assert.match(tpm.swtpm.stderr, /the lock on the state is not held, as after a migration/)
    assert.match(await vmm.control(CMD.GET_CONFIG, 8), /^00000000/)
  })

  it('goes on if the new program is no good', async (t) => {
    const program = join(temporaryDirectory(t), 'tpm-engine')
    copyFileSync(join(projectRoot, 'native/build/Release/tpm-engine'), program)
    const tpm = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: program } })
    const client = await Client.open(tpm.dataPath)
    await client.succeed(TPM2.pcrExtend(7, DIGEST))
    const engine = await enginePid(tpm.swtpm.pid)
    writeFileSync(`${program}.new`, '#!/bin/sh\nexit 3\n', { mode: 0o755 })
    renameSync(`${program}.new`, program)
    process.kill(tpm.swtpm.pid, 'SIGUSR2')
    await waitFor(() => tpm.swtpm.stderr.includes('Cannot replace the engine'), { what: 'the refusal' })
    assert.match(tpm.swtpm.stderr, /exited with status 3/)
    assert.equal(await enginePid(tpm.swtpm.pid), engine)
    assert.deepEqual(await client.pcr(7), extended(1, DIGEST))
  })
})

describe('a state that is too large to be saved', { skip: noCompiler() }, () => {
  it('is reported once, with what it means, and the TPM works until its engine is to be replaced', async (t) => {
    const engine = engineWith(temporaryDirectory(t), 'large-state.c')
    const tpm = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: engine } })
    const client = await Client.open(tpm.dataPath)
    for (let i = 0; i < 3; i++) await client.succeed(TPM2.pcrExtend(7, DIGEST))
    assert.deepEqual(await client.pcr(7), extended(3, DIGEST))
    // As far as anybody can tell its engine has spoilt it on purpose.
    process.kill(tpm.swtpm.pid, 'SIGUSR2')
    assert.equal(await tpm.swtpm.exited, 1)
    assert.match(tpm.swtpm.stderr, /cannot be continued even by an engine of its own program/)
    client.connection.close()
    const warnings = tpm.swtpm.stderr.match(/Cannot save the TPM's state in the shared state: 307200 bytes/g)
    assert.equal(warnings?.length, 1, tpm.swtpm.stderr)
    assert.match(tpm.swtpm.stderr, /is to be replaced, the TPM ends.*cannot be rolled back/)
  })
})
