/** An engine takes the place of one that has died. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { TPM_FAIL } from '../../../contract/tpm-result.ts'
import { controlCode } from '../../../contract/verbs.ts'
import { result } from './fake-engine.ts'

import { LATE_MS, pass, Trial } from './trial.ts'

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
