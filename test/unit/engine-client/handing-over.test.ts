/** An engine takes the place of one that is alive, and may say or do anything. */
import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { TPM_BAD_ORDINAL, TPM_FAIL, TPM_IOERROR } from '../../../contract/tpm-result.ts'
import { controlCode } from '../../../contract/verbs.ts'
import { type FakeEngine, result } from './fake-engine.ts'

import { LATE_MS, pass, Trial } from './trial.ts'

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

  it('two that are asked for while one engine has steps to do follow each other', async () => {
    const trial = await Trial.serving()
    let finish!: () => void
    const steps = trial.succession.unbroken(() => new Promise<void>((resolve) => (finish = resolve)))
    const replaced = [trial.succession.replace(), trial.succession.replace()]
    await turn()
    for (const engine of trial.starter.engines.slice(1)) engine.ready()
    await turn()
    finish()
    await steps
    await replaced[0]
    await turn()
    trial.starter.last.ready()
    await Promise.all(replaced)
    assert.equal(trial.starter.engines.length, 3)
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

  it('the new program does not continue: an engine like the old one does', async () => {
    const { trial, replaced } = await Trial.handingOver()
    const [old, next] = trial.starter.engines
    Object.assign(next as FakeEngine, { build: 2 }).answers.set('RESUME', result(TPM_FAIL))
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.ready())
    old?.answer('HAND_OVER')
    assert.equal(await replaced, undefined)
    const { engines, last } = trial.starter
    assert.equal(engines.length, 3)
    assert.equal(last.fresh, false)
    assert.equal(trial.succession.pid, last.pid)
    assert.ok(old?.ended && next?.ended)
  })

  it('the new program does not continue, and there is no other: the old engine does', async () => {
    for (const build of [0, 2, 'never ready'] as const) {
      const { trial, replaced } = await Trial.handingOver()
      const [old, next] = trial.starter.engines
      next?.answers.set('RESUME', result(TPM_FAIL))
      trial.starter.onStart = (engine) => {
        if (build === 'never ready') return queueMicrotask(() => engine.die('it exited with status 3'))
        engine.build = build
        queueMicrotask(() => engine.ready())
      }
      old?.answer('HAND_OVER')
      assert.match(String(await replaced), /cannot continue the TPM/)
      assert.deepEqual(old?.asked, ['INIT', 'HAND_OVER', 'SET_STORAGE', 'RESUME'])
      assert.equal(trial.state, 'serving')
      assert.ok(trial.starter.last.ended)
      // It is served as before: its death is followed by another engine.
      old?.die()
      assert.equal(trial.state, 'takingOver')
      await trial.succession.close()
    }
  })

  it('nor does an engine like the old one, which has spoilt what it has left: the end', async () => {
    for (const how of ['refuses', 'dies'] as const) {
      const { trial, replaced } = await Trial.handingOver()
      const [old, next] = trial.starter.engines
      next?.answers.set('RESUME', result(TPM_FAIL))
      trial.starter.onStart = (engine) => {
        if (how === 'dies') engine.dieOn = 'RESUME'
        else engine.answers.set('RESUME', result(TPM_FAIL))
        queueMicrotask(() => engine.ready())
      }
      old?.answer('HAND_OVER')
      assert.ok((await replaced) instanceof Error)
      assert.ok(old?.killed)
      assert.equal(trial.state, 'ended')
      assert.ok(trial.starter.engines.every(({ ended }) => ended))
      assert.match(trial.heard.at(-1) ?? '', /even by an engine of its own program/)
    }
  })

  it('none continues, the old one neither: the end', async () => {
    const { trial, replaced } = await Trial.handingOver()
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.die())
    for (const engine of trial.starter.engines) engine.answers.set('RESUME', result(TPM_FAIL))
    trial.starter.engines[0]?.answer('HAND_OVER')
    assert.match(String(await replaced), /cannot continue the TPM/)
    assert.equal(trial.state, 'ended')
  })

  it('is refused while state blobs wait for their INIT', async () => {
    const trial = await Trial.serving()
    const [old] = trial.starter.engines
    await trial.ask(controlCode('SET_STATEBLOB'))
    trial.starter.onStart = (engine) => queueMicrotask(() => engine.ready())
    await assert.rejects(trial.succession.replace(), /state blobs were set/)
    assert.equal(trial.succession.pid, old?.pid)
    await trial.ask(controlCode('INIT'))
    await trial.succession.replace()
    assert.equal(trial.succession.pid, trial.starter.last.pid)
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
