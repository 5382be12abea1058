/** The engines of one TPM that have not ended: one serves, and one or two more may be about to take its place. */
import type { EngineEventName } from '../../../contract/engine-events.ts'
import { startError } from './continue-tpm.ts'
import type { Engine, RunningEngine, Starter } from './engine-starter.ts'

/** An engine that has been started to take the place of another. */
export interface Candidate {
  readonly engine: Engine
  /** @throws SwtpmError SWTPM_ERR_ENGINE_START */
  readonly ready: Promise<void>
}

export interface LivingEnginesEvents {
  /** @throws RangeError: it makes no sense */
  event(name: EngineEventName, payload: Buffer): void
  /** After its last event. */
  ended(engine: Engine, reason: string): void
}

export class LivingEngines {
  readonly #starter: Starter
  readonly #events: LivingEnginesEvents
  readonly #alive = new Set<Engine>()

  constructor(starter: Starter, events: LivingEnginesEvents) {
    this.#starter = starter
    this.#events = events
  }

  get count(): number {
    return this.#alive.size
  }

  /** @see Starter.start */
  start(fresh: boolean): Candidate {
    let resolve!: () => void
    let reject!: (error: Error) => void
    const ready = new Promise<void>((yes, no) => {
      resolve = yes
      reject = no
    })
    const engine = this.#starter.start(fresh, {
      event: (name, payload) => {
        if (name === 'READY') resolve()
        this.#events.event(name, payload)
      },
      ended: (reason) => {
        reject(startError(reason))
        this.#ended(engine, reason)
      },
    })
    this.#alive.add(engine)
    return { engine, ready }
  }

  /** @see Starter.resume */
  resume(saved: RunningEngine): Engine {
    const engine = this.#starter.resume(saved, {
      event: (name, payload) => this.#events.event(name, payload),
      ended: (reason) => this.#ended(engine, reason),
    })
    this.#alive.add(engine)
    return engine
  }

  /** @returns whether all have ended */
  async close(): Promise<boolean> {
    const ended = await Promise.all([...this.#alive].map((engine) => engine.close()))
    return ended.every(Boolean)
  }

  kill(): void {
    for (const engine of this.#alive) engine.kill()
  }

  #ended(engine: Engine, reason: string): void {
    this.#alive.delete(engine)
    this.#events.ended(engine, reason)
  }
}
