/** Engines without processes: a test answers their requests, and has them get ready and die. */
import { type EngineEventName, readyEvent } from '../../../contract/engine-events.ts'
import { ENGINE_REQUESTS, engineCode, resumeResp, word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { controlCode, VERBS, type VerbName } from '../../../contract/verbs.ts'
import type { EngineLinkEvents, SavedLink } from '../../../src/engine-client/channel/engine-link.ts'
import type { Engine, RunningEngine, Starter } from '../../../src/engine-client/succession/engine-starter.ts'

export type RequestName = keyof typeof ENGINE_REQUESTS | VerbName

const codeOf = (name: RequestName): number =>
  name in VERBS ? controlCode(name as VerbName) : engineCode(name as keyof typeof ENGINE_REQUESTS)

const nameOf = (code: number): RequestName =>
  [...(Object.keys(ENGINE_REQUESTS) as RequestName[]), ...(Object.keys(VERBS) as VerbName[])].find(
    (name) => codeOf(name) === code,
  ) as RequestName

export const result = (value: number): Buffer => word.encode({ value }, BIG)

export class FakeEngine implements Engine {
  readonly channelFd = -1
  readonly pid: number
  readonly fresh: boolean
  /** That of an engine that has been upgraded is another one. */
  build = 1
  /** What it was asked, in order. */
  readonly asked: RequestName[] = []
  /** Requests that it does not answer. */
  readonly silentOn = new Set<RequestName>()
  /** What it answers other than success. */
  readonly answers = new Map<RequestName, Buffer>()
  /** What it dies of when it is asked. */
  dieOn: RequestName | undefined
  ended = false
  closed = false
  killed = false
  readonly #events: EngineLinkEvents
  readonly #pending = new Map<RequestName, { resolve(reply: Buffer): void; reject(error: Error): void }>()

  save(): SavedLink {
    return { pid: this.pid, nextId: 1, build: this.build }
  }

  constructor(pid: number, fresh: boolean, events: EngineLinkEvents) {
    this.pid = pid
    this.fresh = fresh
    this.#events = events
  }

  describe(): string {
    return `The engine (process ${this.pid})`
  }

  request(code: number): Promise<Buffer> {
    const name = nameOf(code)
    this.asked.push(name)
    if (this.ended) return Promise.reject(new Error('the fake engine has ended'))
    return new Promise((resolve, reject) => {
      this.#pending.set(name, { resolve, reject })
      if (this.dieOn === name) this.die()
      else if (!this.silentOn.has(name)) this.answer(name)
    })
  }

  answer(name: RequestName): void {
    const success = name === 'RESUME' ? resumeResp.encode({ tpmResult: 0, running: 1 }, BIG) : result(0)
    this.#pending.get(name)?.resolve(this.answers.get(name) ?? success)
    this.#pending.delete(name)
  }

  takeFd(): undefined {
    return undefined
  }

  ready(): void {
    this.#events.event('READY', readyEvent.encode({ version: 0, build: this.build }, BIG))
  }

  event(name: EngineEventName, payload: Buffer): void {
    this.#events.event(name, payload)
  }

  die(reason = 'it was killed by SIGKILL'): void {
    if (this.ended) return
    this.ended = true
    for (const { reject } of this.#pending.values()) reject(new Error(`The engine has ended: ${reason}`))
    this.#pending.clear()
    this.#events.ended(reason)
  }

  async close(): Promise<boolean> {
    this.closed = true
    this.die('it was told to')
    return true
  }

  kill(): void {
    this.killed = true
    this.die()
  }
}

export class FakeStarter implements Starter {
  readonly engines: FakeEngine[] = []
  closed = false
  /** What happens to each engine when it is started. */
  onStart: (engine: FakeEngine) => void = () => {}

  resume({ pid }: RunningEngine, events: EngineLinkEvents): FakeEngine {
    const engine = new FakeEngine(pid, false, events)
    this.engines.push(engine)
    return engine
  }

  start(fresh: boolean, events: EngineLinkEvents): FakeEngine {
    const engine = new FakeEngine(100 + this.engines.length, fresh, events)
    this.engines.push(engine)
    this.onStart(engine)
    return engine
  }

  /** The engine that was started last. */
  get last(): FakeEngine {
    return this.engines.at(-1) as FakeEngine
  }

  lastFuseRequest(): bigint {
    return 0n
  }

  close(): void {
    this.closed = true
  }
}
