/** The succession of engines, driven through every state and every transition by engines without processes. */
import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { engineCode, word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { TPM_BAD_ORDINAL, TPM_FAIL, TPM_IOERROR } from '../../../contract/tpm-result.ts'
import { controlCode } from '../../../contract/verbs.ts'
import { EngineSuccession } from '../../../src/engine-client/succession/engine-succession.ts'
import { ServedTpm } from '../../../src/engine-client/succession/served-tpm.ts'
import {
  type Occurrence,
  SuccessionStateMachine,
  TRANSITIONS,
} from '../../../src/engine-client/succession/succession-state.ts'
import { FakeStarter, result } from './fake-engine.ts'

const NOTHING = Buffer.alloc(0)
/** More than a new engine may take. */
const LATE_MS = 31_000

/** A succession, and what it has reported. */
class Trial {
  readonly starter = new FakeStarter()
  readonly served = new ServedTpm()
  readonly heard: string[] = []
  readonly succession = new EngineSuccession(this.starter, this.served, {
    event: (name) => this.heard.push(`event ${name}`),
    engineDied: () => this.heard.push('died'),
    resumed: (running) => this.heard.push(`resumed ${running}`),
    connectionLost: () => this.heard.push('connection lost'),
    ended: (reason) => this.heard.push(`ended: ${reason}`),
  })

  constructor() {
    this.succession.start()
  }

  get state() {
    return this.succession.state
  }

  ask(code: number): Promise<number> {
    const reply = this.succession.request(code, NOTHING, [], 'plain')
    return reply.then((bytes) => word.decode(bytes, BIG).value)
  }

  /** One engine serves a TPM that is powered on. */
  static async serving(): Promise<Trial> {
    const trial = new Trial()
    trial.starter.last.ready()
    await trial.ask(controlCode('INIT'))
    return trial
  }

  /** A new engine is ready and is being told what it is to continue with, all but RESUME. */
  static async takingOver(): Promise<Trial> {
    const trial = await Trial.serving()
    trial.starter.onStart = (engine) => engine.silentOn.add('RESUME')
    trial.starter.last.die()
    trial.starter.last.ready()
    await turn()
    assert.equal(trial.state, 'takingOver')
    return trial
  }

  /** The old engine was asked to hand over and has not answered. */
  static async handingOver(): Promise<{ trial: Trial; replaced: Promise<unknown> }> {
    const trial = await Trial.serving()
    trial.starter.last.silentOn.add('HAND_OVER')
    const replaced = trial.succession.replace().catch((error) => error)
    await turn()
    trial.starter.last.ready()
    await turn()
    assert.equal(trial.state, 'handingOver')
    return { trial, replaced }
  }
}

/** Has a limit of the succession pass. */
async function pass(t: TestContext, ms: number): Promise<void> {
  t.mock.timers.tick(ms)
  await turn()
}

describe('the table of states', () => {
  it('leads from every state to the end, and nowhere from there', () => {
    assert.deepEqual(TRANSITIONS.ended, {})
    for (const [state, row] of Object.entries(TRANSITIONS)) {
      // Before the first engine there is nothing that could fail.
      const next: readonly string[] = Object.values(row)
      if (state !== 'ended') assert.ok(next.includes(state === 'notStarted' ? 'closing' : 'ended'), state)
    }
  })

  it('refuses what it does not have', () => {
    const machine = new SuccessionStateMachine('starting')
    machine.apply('ready')
    for (const occurrence of ['ready', 'continued', 'closed'] as Occurrence[]) {
      assert.throws(() => machine.apply(occurrence), /in state 'serving'/)
    }
    assert.equal(machine.now, 'serving')
  })

  it('lets those who wait go on in the order in which they came', async () => {
    const machine = new SuccessionStateMachine('starting')
    const order: number[] = []
    const waiting = [1, 2, 3].map((n) => machine.until(() => machine.is('ended')).then(() => order.push(n)))
    machine.apply('ready')
    await turn()
    assert.deepEqual(order, [])
    machine.apply('failed')
    await Promise.all(waiting)
    assert.deepEqual(order, [1, 2, 3])
  })
})

describe('starting', () => {
  it('sends requests before the engine is ready, in order', async () => {
    const trial = new Trial()
    assert.equal(trial.state, 'starting')
    await Promise.all([trial.ask(engineCode('SET_STORAGE')), trial.ask(controlCode('INIT'))])
    assert.deepEqual(trial.starter.last.asked, ['SET_STORAGE', 'INIT'])
    trial.starter.last.ready()
    assert.equal(trial.state, 'serving')
    assert.deepEqual(trial.heard, ['event READY'])
  })

  it('ends with an engine that dies, and starts no other one', async () => {
    const trial = new Trial()
    await trial.ask(controlCode('INIT'))
    trial.starter.last.die('it exited with status 1')
    assert.equal(trial.state, 'ended')
    assert.deepEqual(trial.heard, ['ended: it exited with status 1'])
    assert.equal(trial.starter.engines.length, 1)
    assert.ok(trial.starter.closed)
    await assert.rejects(trial.ask(controlCode('STOP')), { code: 'SWTPM_ERR_ENGINE_GONE' })
  })

  it('ends with an engine that never gets ready', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const trial = new Trial()
    await pass(t, LATE_MS)
    assert.equal(trial.state, 'ended')
    assert.match(trial.heard.at(-1) ?? '', /was not ready within 30 s/)
  })

  it('waits no longer for one that is ready', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const trial = await Trial.serving()
    await pass(t, LATE_MS)
    assert.equal(trial.state, 'serving')
  })

  it('can be closed', async () => {
    const trial = new Trial()
    assert.equal(await trial.succession.close(), true)
    assert.equal(trial.state, 'ended')
    assert.deepEqual(trial.heard, ['ended: it was closed'])
  })
})

describe('serving', () => {
  it('ends with an engine that dies while there is no TPM to continue with', () => {
    const trial = new Trial()
    trial.starter.last.ready()
    trial.starter.last.die()
    assert.equal(trial.state, 'ended')
    assert.equal(trial.starter.engines.length, 1)
  })

  it('can be closed, and again', async () => {
    const trial = await Trial.serving()
    const [first, second] = await Promise.all([trial.succession.close(), trial.succession.close()])
    assert.deepEqual([first, second], [true, true])
    assert.equal(trial.heard.filter((said) => said.startsWith('ended')).length, 1)
    await assert.rejects(trial.succession.replace(), { code: 'SWTPM_ERR_ENGINE_GONE' })
  })

  it('can be killed', async () => {
    const trial = await Trial.serving()
    trial.succession.kill()
    assert.equal(trial.state, 'closing')
    assert.ok(trial.starter.last.killed)
    assert.equal(trial.starter.engines.length, 1)
    await trial.succession.close()
    assert.equal(trial.state, 'ended')
  })
})

describe('taking over', () => {
  it('starts a fresh engine, tells it what is served, and lets requests wait', async () => {
    const trial = await Trial.takingOver()
    const asked = trial.ask(controlCode('GET_CONFIG'))
    const next = trial.starter.last
    assert.ok(next.fresh)
    assert.deepEqual(next.asked, ['SET_STORAGE', 'RESUME'])
    next.answer('RESUME')
    assert.equal(await asked, 0)
    assert.equal(trial.state, 'serving')
    assert.equal(trial.succession.pid, next.pid)
    assert.deepEqual(next.asked, ['SET_STORAGE', 'RESUME', 'GET_CONFIG'])
    assert.deepEqual(trial.heard, ['event READY', 'died', 'resumed true'])
  })

  it('tells it the profile and the route, and that a listener’s client is gone', async () => {
    const trial = await Trial.serving()
    Object.assign(trial.served, { profile: '{}', route: 'supervisor', clientOpen: true })
    trial.served.expect({ kind: 'listener', fd: -1, flags: 0 })
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.ready())
    trial.starter.last.die()
    await turn()
    assert.deepEqual(trial.starter.last.asked, [
      'SET_STORAGE',
      'SET_PROFILE',
      'RESUME',
      'ATTACH',
      'SET_ROUTE',
    ])
    assert.ok(trial.heard.includes('connection lost'))
    assert.equal(trial.state, 'serving')
  })

  it('a CANCEL of the dead engine’s command succeeds', async () => {
    const trial = await Trial.serving()
    trial.starter.last.silentOn.add('CANCEL_TPM_CMD')
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.ready())
    const cancelled = trial.ask(controlCode('CANCEL_TPM_CMD'))
    trial.starter.last.die()
    assert.equal(await cancelled, 0)
  })

  it('an engine that dies in its turn is followed by the next', async () => {
    const trial = await Trial.serving()
    let starts = 0
    trial.starter.onStart = (engine) => queueMicrotask(() => (++starts < 3 ? engine.die() : engine.ready()))
    trial.starter.last.die()
    await turn()
    assert.equal(trial.state, 'serving')
    assert.equal(trial.starter.engines.length, 4)
    assert.equal(trial.heard.filter((said) => said === 'died').length, 3)
  })

  it('too many deaths within a minute are the end', async () => {
    const trial = await Trial.serving()
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.die())
    trial.starter.last.die()
    await turn()
    assert.equal(trial.state, 'ended')
    assert.match(trial.heard.at(-1) ?? '', /as 8 others did within a minute/)
    assert.equal(trial.starter.engines.length, 9)
  })

  it('an engine that will not continue is the end', async () => {
    const trial = await Trial.takingOver()
    trial.starter.last.answers.set('RESUME', result(TPM_FAIL))
    trial.starter.last.answer('RESUME')
    await turn()
    assert.equal(trial.state, 'ended')
    assert.ok(trial.starter.last.closed)
    assert.match(trial.heard.at(-1) ?? '', /cannot continue the TPM/)
  })

  it('an engine that never gets ready is the end', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const trial = await Trial.serving()
    trial.starter.last.die()
    await pass(t, LATE_MS)
    assert.equal(trial.state, 'ended')
    assert.match(trial.heard.at(-1) ?? '', /was not ready within 30 s/)
    assert.ok(trial.starter.last.closed)
  })

  it('an engine that never takes over is the end', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const trial = await Trial.takingOver()
    await pass(t, LATE_MS)
    assert.equal(trial.state, 'ended')
    assert.match(trial.heard.at(-1) ?? '', /did not take over within 30 s/)
  })

  it('can be closed: the requests that wait fail', async () => {
    const trial = await Trial.takingOver()
    const asked = assert.rejects(trial.ask(controlCode('GET_CONFIG')))
    assert.equal(await trial.succession.close(), true)
    await asked
    assert.equal(trial.state, 'ended')
    assert.ok(trial.starter.last.closed)
    assert.equal(trial.starter.engines.length, 2)
  })

  it('can be killed', async () => {
    const trial = await Trial.takingOver()
    trial.succession.kill()
    assert.ok(trial.starter.last.killed)
    await turn()
    assert.equal(trial.starter.engines.length, 2)
    await trial.succession.close()
    assert.equal(trial.state, 'ended')
  })
})

describe('handing over', () => {
  it('the new engine serves, and the old one ends', async () => {
    const { trial, replaced } = await Trial.handingOver()
    const [old, next] = trial.starter.engines
    const asked = trial.ask(controlCode('GET_CONFIG'))
    old?.answer('HAND_OVER')
    assert.equal(await replaced, undefined)
    assert.equal(await asked, 0)
    assert.equal(trial.succession.pid, next?.pid)
    assert.deepEqual(next?.asked, ['SET_STORAGE', 'RESUME', 'GET_CONFIG'])
    assert.ok(old?.closed)
    assert.equal(trial.state, 'serving')
    // What the new one says of itself was known.
    assert.deepEqual(trial.heard, ['event READY', 'resumed true'])
  })

  it('a CANCEL goes to the engine that still runs', async () => {
    const { trial, replaced } = await Trial.handingOver()
    const [old] = trial.starter.engines
    assert.equal(await trial.ask(controlCode('CANCEL_TPM_CMD')), 0)
    assert.deepEqual(old?.asked, ['INIT', 'HAND_OVER', 'CANCEL_TPM_CMD'])
    old?.answer('HAND_OVER')
    await replaced
  })

  it('waits for steps that one engine has to do from start to end', async () => {
    const trial = await Trial.serving()
    let finish!: () => void
    const steps = trial.succession.unbroken(() => new Promise<void>((resolve) => (finish = resolve)))
    const replaced = trial.succession.replace()
    await turn()
    trial.starter.last.ready()
    await turn()
    assert.equal(trial.state, 'serving')
    finish()
    await Promise.all([steps, replaced])
    assert.equal(trial.succession.pid, trial.starter.last.pid)
  })

  it('the old engine says nothing any more: it is killed, and the new one takes over', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { trial, replaced } = await Trial.handingOver()
    trial.starter.engines[0]?.silentOn.add('SET_BUFFERSIZE')
    for (let seconds = 0; seconds < 10; seconds++) await pass(t, 1000)
    assert.equal(await replaced, undefined)
    assert.ok(trial.starter.engines[0]?.killed)
    assert.equal(trial.state, 'serving')
    assert.equal(trial.succession.pid, trial.starter.last.pid)
    assert.ok(trial.heard.includes('died'))
  })

  it('the old engine is busy: it is waited for as long as it answers, two minutes at most', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { trial, replaced } = await Trial.handingOver()
    for (let seconds = 0; seconds < 110; seconds++) await pass(t, 1000)
    assert.equal(trial.state, 'handingOver')
    assert.equal(trial.starter.engines[0]?.killed, false)
    for (let seconds = 0; seconds < 12; seconds++) await pass(t, 1000)
    assert.equal(await replaced, undefined)
    assert.ok(trial.starter.engines[0]?.killed)
    assert.equal(trial.succession.pid, trial.starter.last.pid)
  })

  it('this process was stopped: an answer that it finds then counts', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { trial, replaced } = await Trial.handingOver()
    const [old] = trial.starter.engines
    old?.silentOn.add('SET_BUFFERSIZE')
    await pass(t, 1000)
    // Its limit is over at once, and the answer is read after that.
    await pass(t, 2000)
    old?.answer('SET_BUFFERSIZE')
    old?.silentOn.delete('SET_BUFFERSIZE')
    for (let seconds = 0; seconds < 10; seconds++) await pass(t, 1000)
    assert.equal(old?.killed, false)
    old?.answer('HAND_OVER')
    assert.equal(await replaced, undefined)
    assert.deepEqual(trial.heard, ['event READY', 'resumed true'])
  })

  it('the old engine says that it cannot: the new one takes over from what it has left, and the old one is killed', async () => {
    for (const lie of [TPM_BAD_ORDINAL, TPM_FAIL]) {
      const { trial, replaced } = await Trial.handingOver()
      const [old, next] = trial.starter.engines
      old?.answers.set('HAND_OVER', result(lie))
      old?.answer('HAND_OVER')
      assert.equal(await replaced, undefined)
      assert.ok(old?.killed)
      assert.equal(trial.succession.pid, next?.pid)
      assert.equal(trial.state, 'serving')
      // What it had read and not answered is lost.
      assert.deepEqual(trial.heard, ['event READY', 'died', 'resumed true'])
    }
  })

  it('the new engine cannot serve the device: the TPM goes on with another one', async () => {
    for (const fault of ['refuses', 'dies'] as const) {
      const trial = await Trial.serving()
      const old = trial.starter.last
      trial.served.expect({ kind: 'cuse', fd: openSync('/dev/null', 'r'), flags: 0 })
      trial.starter.onStart = (engine) => {
        queueMicrotask(() => engine.ready())
        if (trial.starter.engines.length > 3) return
        if (fault === 'refuses') engine.answers.set('ATTACH', result(TPM_IOERROR))
        else engine.dieOn = 'ATTACH'
      }
      await trial.succession.replace()
      assert.equal(trial.state, 'serving')
      assert.ok(old.killed)
      assert.equal(trial.starter.engines.length, 4)
      assert.equal(trial.succession.pid, trial.starter.last.pid)
      assert.ok(trial.starter.engines.slice(0, 3).every(({ ended }) => ended))
    }
  })

  it('no new engine can serve the device: the end, after so many', async () => {
    const trial = await Trial.serving()
    trial.served.expect({ kind: 'cuse', fd: openSync('/dev/null', 'r'), flags: 0 })
    trial.starter.onStart = (engine) => {
      queueMicrotask(() => engine.ready())
      engine.answers.set('ATTACH', result(TPM_IOERROR))
    }
    await assert.rejects(trial.succession.replace(), /cannot serve the device: result 31/)
    assert.equal(trial.state, 'ended')
    assert.equal(trial.starter.engines.length, 10)
    assert.ok(trial.starter.engines.every(({ ended }) => ended))
  })

  it('steps that one engine has to do never end, as it is silent: it is killed, and the next one is replaced', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const trial = await Trial.serving()
    const old = trial.starter.last
    old.silentOn.add('INIT').add('SET_BUFFERSIZE')
    const steps = trial.succession.unbroken(() => trial.ask(controlCode('INIT'))).catch(() => 'failed')
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.ready())
    const replaced = trial.succession.replace()
    for (let seconds = 0; seconds < 10; seconds++) await pass(t, 1000)
    await replaced
    assert.equal(await steps, 'failed')
    assert.ok(old.killed)
    assert.equal(trial.state, 'serving')
    assert.equal(trial.starter.engines.filter(({ ended }) => !ended).length, 1)
  })

  it('the old engine dies over it: the new one takes over', async () => {
    const { trial, replaced } = await Trial.handingOver()
    trial.starter.engines[0]?.die()
    assert.equal(await replaced, undefined)
    assert.equal(trial.state, 'serving')
    assert.deepEqual(trial.heard, ['event READY', 'died', 'resumed true'])
  })

  it('is refused without the storage lock: the old engine serves on, untouched', async () => {
    const trial = await Trial.serving()
    const [old] = trial.starter.engines
    trial.served.storageLocked = false
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.ready())
    await assert.rejects(trial.succession.replace(), /the lock on the state is not held/)
    assert.equal(trial.succession.pid, old?.pid)
    assert.equal(trial.state, 'serving')
    assert.deepEqual(old?.asked, ['INIT'])
    assert.ok(trial.starter.last.closed)
  })

  it('the new engine does not continue: the old one does', async () => {
    const { trial, replaced } = await Trial.handingOver()
    const [old, next] = trial.starter.engines
    next?.answers.set('RESUME', result(TPM_FAIL))
    old?.answer('HAND_OVER')
    assert.match(String(await replaced), /cannot continue the TPM/)
    assert.deepEqual(old?.asked, ['INIT', 'HAND_OVER', 'SET_STORAGE', 'RESUME'])
    assert.equal(trial.state, 'serving')
    // It is served as before: its death is followed by another engine.
    old?.die()
    assert.equal(trial.state, 'takingOver')
    await trial.succession.close()
  })

  it('neither continues: the end', async () => {
    const { trial, replaced } = await Trial.handingOver()
    for (const engine of trial.starter.engines) engine.answers.set('RESUME', result(TPM_FAIL))
    trial.starter.engines[0]?.answer('HAND_OVER')
    assert.match(String(await replaced), /cannot continue the TPM/)
    assert.equal(trial.state, 'ended')
  })

  it('a new engine that never gets ready is put away: the old one serves on', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const trial = await Trial.serving()
    const replaced = trial.succession.replace().catch((error) => error)
    await turn()
    await pass(t, LATE_MS)
    assert.match(String(await replaced), /was not ready within 30 s/)
    assert.ok(trial.starter.last.closed)
    assert.equal(trial.state, 'serving')
    assert.equal(await trial.ask(controlCode('GET_CONFIG')), 0)
    assert.equal(trial.succession.pid, trial.starter.engines[0]?.pid)
  })

  it('a new engine that dies before it is ready leaves the old one alone', async () => {
    const trial = await Trial.serving()
    const replaced = trial.succession.replace().catch((error) => error)
    await turn()
    trial.starter.last.die('it exited with status 3')
    assert.match(String(await replaced), /exited with status 3/)
    assert.equal(trial.state, 'serving')
  })

  it('can be closed: both engines end', async () => {
    const { trial, replaced } = await Trial.handingOver()
    assert.equal(await trial.succession.close(), true)
    assert.ok((await replaced) instanceof Error)
    assert.equal(trial.state, 'ended')
    assert.ok(trial.starter.engines.every(({ closed }) => closed))
    assert.deepEqual(trial.heard, ['event READY', 'ended: it was closed'])
  })

  it('can be killed', async () => {
    const { trial, replaced } = await Trial.handingOver()
    trial.succession.kill()
    assert.ok((await replaced) instanceof Error)
    assert.ok(trial.starter.engines.every(({ killed }) => killed))
    assert.equal(trial.starter.engines.length, 2)
    await trial.succession.close()
  })
})
