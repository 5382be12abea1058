/** The states of a succession of engines: the table, its beginning, and an engine that serves. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { engineCode } from '../../../contract/engine-requests.ts'
import { controlCode } from '../../../contract/verbs.ts'
import {
  type Occurrence,
  SuccessionStateMachine,
  TRANSITIONS,
} from '../../../src/engine-client/succession/succession-state.ts'

import { LATE_MS, pass, Trial } from './trial.ts'

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
