/**
 * SIGKILL at random moments, to the engine, to the supervisor or to both, while a client writes to NV memory: the next
 * TPM starts at once and has everything that was acknowledged.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../fuzz/random.ts'
import { engineNow } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { NV } from './support/engine-tpm.ts'
import { figure, scaled, seed } from './support/scale.ts'

const nv = NV['2']
const TPM_RC_FAILURE = 0x101

function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

const ask = (connection: RawConnection, command: Buffer): Promise<Buffer> =>
  new TpmClient(connection).ask(command)

class Victim {
  /** The last write that was answered, and the last one that was sent. */
  acknowledged = -1
  sent = -1
  starts = 0
  writes = 0
  readonly directory: string
  readonly #t: Cleanup
  readonly #backend: 'dir' | 'file'
  readonly #cleanups: (() => unknown)[] = []
  #supervisorKilled = false

  constructor(t: Cleanup, backend: 'dir' | 'file') {
    this.#t = t
    this.#backend = backend
    this.directory = temporaryDirectory(t)
  }

  /** Starts, checks, writes until something dies. @returns whether the TPM was up when it happened */
  async round(random: Random): Promise<void> {
    const target = random.pick(['engine', 'supervisor', 'both'] as const)
    const early = random.chance(0.2)
    // From exec to the first answer takes some 150 ms, more on a busy machine.
    const timer = early ? delay(random.below(400)) : undefined
    let engine: number | undefined
    this.#supervisorKilled = false
    const strike = (pid: number): void => {
      engine ??= engineNow(pid)
      if (target !== 'supervisor') kill(engine, 'SIGKILL')
      // A client that no engine has accepted yet is the next one's, and would write for ever.
      setTimeout(
        () => {
          this.#supervisorKilled = true
          kill(pid, 'SIGKILL')
        },
        target === 'engine' && engine !== undefined ? 100 : 0,
      )
    }
    const cleanup: Cleanup = { after: (undo) => void this.#cleanups.push(undo) }
    const starting = this.#start(cleanup, (pid) => timer?.then(() => strike(pid)))
    const swtpm = await starting
    if (swtpm !== undefined) {
      // The socket's file is there a moment before it listens.
      const path = join(this.directory, 'data')
      const connection = await waitFor(
        async () => (swtpm.running ? RawConnection.open(path).catch(() => undefined) : 'ended'),
        { what: 'the connection' },
      )
      if (connection instanceof RawConnection) {
        const work = this.#work(connection, early, swtpm)
        if (!early) setTimeout(() => strike(swtpm.pid), random.below(60))
        await work
        connection.close()
      }
      // The TPM lives on in another engine, so that this one's supervisor has to be ended, too.
      if (target === 'engine') kill(swtpm.pid, 'SIGKILL')
      await Promise.race([
        swtpm.exited,
        delay(10_000, undefined, { ref: false }).then(() =>
          assert.fail(
            `start ${this.starts}: swtpm outlives its engine ${engine} (${target}, ${early}): ${swtpm.stderr}`,
          ),
        ),
      ])
    }
    for (const undo of this.#cleanups.splice(0)) await undo()
  }

  async #start(cleanup: Cleanup, onSpawn: (pid: number) => void): Promise<Swtpm | undefined> {
    this.starts++
    const { directory } = this
    for (const name of ['data', 'control']) rmSync(join(directory, name), { force: true })
    const state = this.#backend === 'dir' ? `dir=${directory}` : `backend-uri=file://${directory}/linear`
    const args = ['socket', '--tpm2', '--tpmstate', state, '--flags', 'startup-clear']
    const swtpm = new Swtpm([...args, '--server', `type=unixio,path=${directory}/data`])
    cleanup.after(() => swtpm.stop('SIGKILL'))
    let struck = false
    onSpawn(swtpm.pid)
    void swtpm.exited.then((code) => {
      struck = code === 'SIGKILL' || /engine has ended|The engine/i.test(swtpm.stderr)
    })
    await waitFor(() => !swtpm.running || readdirSync(directory).includes('data'), { what: 'a start' })
    if (swtpm.running) return swtpm
    await swtpm.exited
    assert.ok(struck, `start ${this.starts} failed: ${swtpm.stderr}`)
    return undefined
  }

  /** @returns undefined when the TPM has been switched off: its supervisor is gone, or gives up a start that was hit */
  async #ask(connection: RawConnection, command: Buffer, swtpm: Swtpm): Promise<Buffer | undefined> {
    const response = await ask(connection, command)
    if (responseCode(response) !== TPM_RC_FAILURE) return response
    if (!this.#supervisorKilled) {
      await waitFor(() => !swtpm.running, { what: `the end of a TPM that has failed, start ${this.starts}` })
      assert.match(swtpm.stderr, /The engine has ended: it was killed by SIGKILL/)
    }
    return undefined
  }

  /** Until the connection ends. */
  async #work(connection: RawConnection, early: boolean, swtpm: Swtpm): Promise<void> {
    const done = async (command: Buffer): Promise<boolean> => {
      const response = await this.#ask(connection, command, swtpm)
      if (response !== undefined) assert.equal(responseCode(response), 0)
      return response !== undefined
    }
    try {
      const first = await this.#ask(connection, nv.read, swtpm)
      if (first === undefined) return
      const seen = nv.sequence(first)
      assert.ok(
        seen >= this.acknowledged && seen <= this.sent,
        `start ${this.starts}: write ${seen} is there; ${this.acknowledged} was acknowledged, ${this.sent} sent`,
      )
      this.acknowledged = this.sent = seen
      if (seen < 0) {
        this.sent = 0
        if (!(await done(nv.define))) return
        this.acknowledged = 0
      }
      for (;;) {
        this.sent = this.acknowledged + 1
        if (!(await done(nv.write(this.sent)))) return
        this.acknowledged = this.sent
        this.writes++
        if (early && this.writes % 8 === 0) await delay(1)
      }
    } catch (error) {
      if (!/the connection ended/.test((error as Error).message)) throw error
    }
  }

  /** Starts once more and ends in order. */
  async finish(): Promise<string[]> {
    const state = this.#backend === 'dir' ? {} : { backend: 'file' as const }
    const args = ['--tpm2', '--flags', 'startup-clear']
    const tpm = await startSocketTpm(this.#t, args, { directory: this.directory, ...state })
    const connection = await RawConnection.open(tpm.dataPath)
    const seen = nv.sequence(await ask(connection, nv.read))
    assert.ok(seen >= this.acknowledged && seen <= this.sent)
    if (seen < 0) assert.equal(responseCode(await ask(connection, nv.define)), 0)
    assert.equal(responseCode(await ask(connection, nv.write(seen + 1))), 0)
    connection.close()
    assert.equal(await tpm.swtpm.stop(), 0)
    return readdirSync(this.directory).sort()
  }
}

describe('kill -9', () => {
  for (const [backend, rounds, left] of [
    ['dir', scaled(14, 700), ['.lock', 'tpm2-00.permall']],
    ['file', scaled(6, 300), ['linear']],
  ] as const) {
    it(`at ${rounds} random points, state in a ${backend}`, async (t) => {
      const random = new Random(seed)
      const victim = new Victim(t, backend)
      for (let i = 0; i < rounds; i++) await victim.round(random)
      assert.deepEqual(await victim.finish(), left)
      figure(
        `kill -9, state in a ${backend}`,
        `${rounds} points, ${victim.writes} acknowledged writes, 0 lost, 0 failed starts, nothing left over`,
      )
    })
  }

  it('the next TPM waits for an engine whose supervisor has been killed', async (t) => {
    let engine: number | undefined
    // First of all, or the end of the supervisor's output is waited for.
    t.after(() => kill(engine, 'SIGKILL'))
    const first = await startSocketTpm(t)
    const { directory } = first
    const client = await RawConnection.open(first.dataPath)
    assert.equal(nv.sequence(await ask(client, nv.read)), -1)
    client.close()
    engine = engineNow(first.swtpm.pid)
    kill(engine, 'SIGSTOP')
    kill(first.swtpm.pid, 'SIGKILL')
    await waitFor(() => !first.swtpm.running, { what: 'the end of the supervisor' })

    const { dataPath } = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear'], { directory })
    const connection = await RawConnection.open(dataPath)
    let answered = false
    const answer = ask(connection, nv.read).finally(() => {
      answered = true
    })
    // The first engine has not stored its state yet: an engine that loads it now has the wrong one. An answer that does
    // not come is no event to wait for, so this waits for a time in which a wrong one would have come.
    await delay(1000)
    assert.ok(!answered)
    const state = join(directory, 'tpm2-00.permall')
    const before = readFileSync(state)
    kill(engine, 'SIGCONT')
    assert.equal(nv.sequence(await answer), -1)
    connection.close()
    assert.ok(!readFileSync(state).equals(before), 'the first engine has stored its state')
  })
})
