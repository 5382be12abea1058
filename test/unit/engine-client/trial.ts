/** A succession of engines without processes, brought to a state. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { controlCode } from '../../../contract/verbs.ts'
import { EngineSuccession } from '../../../src/engine-client/succession/engine-succession.ts'
import { ServedTpm } from '../../../src/engine-client/succession/served-tpm.ts'
import { FakeStarter } from './fake-engine.ts'

const NOTHING = Buffer.alloc(0)
/** More than a new engine may take. */
export const LATE_MS = 31_000

/** A succession, and what it has reported. */
export class Trial {
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
export async function pass(t: TestContext, ms: number): Promise<void> {
  t.mock.timers.tick(ms)
  await turn()
}
