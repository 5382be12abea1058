/**
 * One TPM's engines: a process at a time, because libtpms keeps its state in process globals, and another one when that
 * dies or is to be replaced. The TPM continues through the shared state, memory that the supervisor keeps and does not
 * look into. The states are in ./succession-state.ts.
 * @see docs/design/0005-succession.md
 */

import { closeSync } from 'node:fs'
import type { EngineEventName } from '../../../contract/engine-events.ts'
import { word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { controlCode } from '../../../contract/verbs.ts'
import { SwtpmError } from '../../system/errors.ts'
import { guarded } from '../../system/guard.ts'
import { log } from '../../system/log.ts'
import { reasonOf } from '../../system/reason.ts'
import { AttachError, continueTpm, startError } from './continue-tpm.ts'
import { Deaths } from './deaths.ts'
import type { Engine, RunningEngine, Starter } from './engine-starter.ts'
import { askToHandOver } from './hand-over.ts'
import { inTime } from './in-time.ts'
import { LivingEngines } from './living-engines.ts'
import type { ServedTpm } from './served-tpm.ts'
import { type SuccessionState, SuccessionStateMachine } from './succession-state.ts'
import { orKilled } from './while-it-answers.ts'

export interface SuccessionEvents {
  /** An engine says something. That it is ready, only the first one says. @throws RangeError: it makes no sense */
  event(name: EngineEventName, payload: Buffer): void
  /** The engine has died, and with it what it had read and not answered. Another one may take over. */
  engineDied(): void
  /** Another engine has taken over; `running` is the TPM's run state, which a verb that was lost may have changed. */
  resumed(running: boolean): void
  /** The connection of a listener's client has ended with the engine that had accepted it. */
  connectionLost(): void
  /** The engine has ended, and there will be no other one; nothing more comes. */
  ended(reason: string): void
}

/** A succession whose engine serves. */
export interface RunningSuccession extends RunningEngine {
  readonly poweredOn: boolean
  readonly blobsWait: boolean
  /** When engines have died, in ms since 1970. */
  readonly deaths: readonly number[]
}

export class EngineSuccession {
  readonly #starter: Starter
  readonly #served: ServedTpm
  readonly #events: SuccessionEvents
  readonly #state: SuccessionStateMachine
  /** The engine that serves, or served last; there is none before the first has been started. */
  #current: Engine | undefined
  readonly #engines: LivingEngines
  /** How many series of steps are under way that one engine has to do from start to end. */
  #unbroken = 0
  /** An INIT was sent: from then on there is a TPM that another engine can continue with. */
  #poweredOn = false
  /** State blobs were set that no INIT has used. No other engine can have them. */
  #blobsWait = false
  #endReason = ''
  /** Settles when no engine is being replaced any more. */
  #replaced: Promise<void> = Promise.resolve()
  /** The engine that serves was killed on purpose. */
  #crashing = false
  readonly #deaths: Deaths

  /**
   * The first engine is started by {@link start}, or by the first request.
   * @param saved of an earlier supervisor of this TPM, whose engine runs
   */
  constructor(starter: Starter, served: ServedTpm, events: SuccessionEvents, saved?: RunningSuccession) {
    this.#starter = starter
    this.#served = served
    this.#events = events
    this.#state = new SuccessionStateMachine(saved === undefined ? 'notStarted' : 'serving')
    this.#deaths = new Deaths(saved?.deaths)
    this.#engines = new LivingEngines(starter, {
      event: (name, payload) => this.#heard(name, payload),
      ended: (engine, reason) => this.#engineEnded(engine, reason),
    })
    if (saved === undefined) return
    this.#poweredOn = saved.poweredOn
    this.#blobsWait = saved.blobsWait
    this.#current = this.#engines.resume(saved)
  }

  /** Starts the first engine, once. */
  start(): void {
    if (!this.#state.is('notStarted')) return
    this.#state.apply('start')
    const { engine, ready } = this.#engines.start(false)
    this.#current = engine
    inTime(ready, 'it was not ready').catch((error) => {
      if (this.#state.is('starting')) this.#fail((error as Error).message)
    })
  }

  /** What the next supervisor of this TPM has to know; undefined while something is under way. */
  save(): RunningSuccession | undefined {
    const settled = this.#state.is('serving') && this.#unbroken === 0 && this.#engines.count === 1
    const engine = settled ? this.#current : undefined
    const link = engine?.save()
    if (engine === undefined || link === undefined) return undefined
    const [poweredOn, blobsWait, deaths] = [this.#poweredOn, this.#blobsWait, this.#deaths.times]
    return { ...link, channelFd: engine.channelFd, poweredOn, blobsWait, deaths }
  }

  get state(): SuccessionState {
    return this.#state.now
  }

  /** Whether the first engine has been started. */
  get started(): boolean {
    return !this.#state.is('notStarted')
  }

  /** Of the engine that serves now; undefined while it starts. */
  get pid(): number | undefined {
    return this.#current?.pid
  }

  /** Calls `act` at a moment at which no engine is being followed by another. */
  async whenServing<T>(act: () => T | Promise<T>): Promise<T> {
    // No `await` where there is nothing to wait for: requests are sent in the order in which they are made.
    if (this.#state.is('takingOver', 'handingOver')) {
      await this.#state.until(() => !this.#state.is('takingOver', 'handingOver'))
    }
    return act()
  }

  /** Waits while an engine is being followed by another. @returns whether one serves then */
  async goesOn(): Promise<boolean> {
    await this.whenServing(() => {})
    return !this.#over
  }

  /** Takes several steps by one engine: {@link replace} waits until they are done. */
  unbroken<T>(steps: () => Promise<T>): Promise<T> {
    this.#unbroken++
    return this.whenServing(steps).finally(() => {
      this.#unbroken--
      this.#state.announce()
    })
  }

  /**
   * Asks the engine that serves now, or the next one as soon as it does.
   * @throws SwtpmError SWTPM_ERR_ENGINE_GONE: it has ended over this, or there is none any more
   */
  async request(
    code: number,
    body: Buffer,
    fds: readonly number[],
    content: 'plain' | 'secret',
  ): Promise<Buffer> {
    this.start()
    const ask = (): Promise<Buffer> => {
      if (this.#current === undefined || this.#state.is('ended')) throw this.#goneError()
      if (code === controlCode('SET_STATEBLOB')) this.#blobsWait = true
      if (code === controlCode('INIT')) {
        this.#poweredOn = true
        this.#blobsWait = false
      }
      return this.#current.request(code, body, fds, content)
    }
    if (code !== controlCode('CANCEL_TPM_CMD')) return this.whenServing(ask)
    try {
      // The command that is to be cancelled is in the engine that still runs.
      return await ask()
    } catch (error) {
      if (!(await this.goesOn())) throw error
      // The command has ended with that engine.
      return word.encode({ value: TPM_SUCCESS }, BIG)
    }
  }

  /**
   * Puts a new engine, of the program that is there now, in the place of the one that runs. Clients notice nothing but a
   * pause: sessions, keys, PCRs and unread responses go along.
   * Nothing is done before the first one has been started: that will be of the program that is there then.
   * @throws SwtpmError SWTPM_ERR_ENGINE_START: it did not take over, and the old one continues
   */
  replace(): Promise<void> {
    // One at a time: two that wait for the same engine would both have it hand over.
    const replaced = this.#replaced.catch(() => {}).then(() => this.#replace())
    this.#replaced = replaced
    return replaced
  }

  async #replace(): Promise<void> {
    if (!this.started) return
    const { engine, ready } = await this.whenServing(() => {
      if (this.#over) throw this.#goneError()
      return this.#engines.start(true)
    })
    try {
      await inTime(ready, 'it was not ready')
      // Meanwhile the old one may have been told to power its TPM on, or have died and been followed by a third.
      await orKilled(
        () => this.#current,
        this.#state.until(() => this.#over || (this.#state.is('serving') && this.#unbroken === 0)),
      )
      if (this.#over) throw this.#goneError()
      // A command may be waiting for the storage in the old one, and would be lost.
      if (!this.#served.storageLocked) {
        throw startError('the lock on the state is not held, as after a migration')
      }
      if (this.#blobsWait) throw startError('state blobs were set, and wait for their INIT')
    } catch (error) {
      await engine.close()
      throw error
    }
    await this.#handOver(this.#current as Engine, engine)
  }

  /** The last FUSE request that an engine has read, by number; 0 for none. */
  lastFuseRequest(): bigint {
    return this.#starter.lastFuseRequest()
  }

  /**
   * The engines shut their TPM down in order and end; this takes 5 s at most.
   * @returns whether they have ended
   */
  async close(): Promise<boolean> {
    this.#beginClosing()
    const ended = await this.#engines.close()
    if (this.#state.is('closing')) this.#end('closed', 'it was closed')
    return ended
  }

  /** Kills the engine that serves; another one takes over, as after any such death. */
  crash(): void {
    // While another takes over, the one that serves is dead already.
    guarded(
      this.whenServing(() => {
        this.#crashing = true
        this.#current?.kill()
      }),
    )
  }

  /** Ends the engines at once; {@link close} then waits for their end. */
  kill(): void {
    this.#beginClosing()
    this.#engines.kill()
  }

  /** No engine serves, or will soon. */
  get #over(): boolean {
    return this.#state.is('closing', 'ended')
  }

  #beginClosing(): void {
    if (!this.#over) this.#state.apply('close')
  }

  #heard(name: EngineEventName, payload: Buffer): void {
    if (name === 'READY') {
      if (!this.#state.is('starting')) return
      this.#state.apply('ready')
    }
    this.#events.event(name, payload)
  }

  #engineEnded(engine: Engine, reason: string): void {
    // The end of any other engine is handled by the function that waits for it.
    if (engine !== this.#current) return
    if (this.#state.is('starting') || (this.#state.is('serving') && !this.#poweredOn)) {
      this.#fail(reason)
    } else if (this.#state.is('serving')) {
      this.#state.apply('died')
      this.#events.engineDied()
      this.#takeOver(reason).catch((error) => this.#fail(`${reason}; ${reasonOf(error)}`))
    }
  }

  /**
   * Starts engines until one continues, or it is too many.
   * @param clientFd the client of a listener that an engine before has handed over
   */
  async #takeOver(reason: string, clientFd?: number): Promise<void> {
    const onPurpose = this.#crashing
    this.#crashing = false
    // A death that was asked for is no sign of a fault.
    for (let first = onPurpose; first || !this.#deaths.oneMoreIsTooMany(); first = false) {
      log.error(`The engine has ended unexpectedly: ${reason}`)
      // With addresses of its own: a client that has made the engine crash must not know those of the next one.
      const { engine, ready } = this.#engines.start(true)
      try {
        await inTime(ready, 'it was not ready')
        await this.#continueIn(engine, clientFd)
        this.#serveBy(engine)
        log.warn('A new engine has taken over; a command that was being processed has been cancelled')
        return
      } catch (error) {
        const died = engine.ended
        await this.#putAway(engine)
        // One that has died in its turn, or cannot serve, is followed by the next; one that does not continue is the last.
        if (this.#state.is('takingOver') && (died || error instanceof AttachError)) {
          // It may have read requests before it died.
          this.#events.engineDied()
          continue
        }
        return this.#fail(`${reason}; ${(error as Error).message}`)
      }
    }
    this.#fail(`${reason}, as ${Deaths.most} others did within a minute`)
  }

  /**
   * The new engine continues also where the old one does not hand over, or has died: from what it has left, as after any death.
   * @throws SwtpmError: the new one does not, and the old one serves on; or there is none any more
   */
  async #handOver(old: Engine, first: Engine): Promise<void> {
    this.#state.apply('handOver')
    let next = first
    let clientFd: number | undefined
    let oldIsNeeded = true
    let spoilt = false
    try {
      const answer = await askToHandOver(old)
      if (this.#over) throw this.#goneError()
      if (answer === 'handedOver') clientFd = old.takeFd()
      else if (answer === 'died') this.#events.engineDied()
      // What is left of the old one must not live beside the next one: they share memory.
      const alone = async (): Promise<void> => {
        oldIsNeeded = false
        old.kill()
        await old.close()
        if (answer === 'refused') this.#events.engineDied()
      }
      try {
        await this.#continueIn(next, clientFd, alone)
      } catch (error) {
        if (this.#over || !oldIsNeeded || old.ended) throw error
        await this.#putAway(next)
        next = await this.#startAnotherLike(old, error as Error)
        spoilt = true
        await this.#continueIn(next, clientFd, alone)
      }
      this.#serveBy(next)
    } catch (error) {
      await this.#putAway(next)
      if (this.#over) throw error
      if (oldIsNeeded && !old.ended) {
        if (spoilt) await this.#endWith(old)
        else await this.#takeBack(old, clientFd)
        throw error
      }
      await old.close()
      this.#state.apply('died')
      this.#events.engineDied()
      await this.#takeOver((error as Error).message, clientFd)
      if (this.#over) throw error
    } finally {
      if (clientFd !== undefined) closeSync(clientFd)
    }
  }

  /**
   * Tells a fault of the new program from a checkpoint that was spoilt: an engine that is the same as the old one, which in a fleet is a
   * copy of the spawner, would continue from what an honest one has left.
   * @throws `why`: there is none; the program may be another one by now
   */
  async #startAnotherLike(old: Engine, why: Error): Promise<Engine> {
    const { engine, ready } = this.#engines.start(false)
    try {
      await inTime(ready, 'it was not ready')
      if (engine.build !== 0 && engine.build === old.build) return engine
    } catch {
      // Nothing is known of the checkpoint.
    }
    await engine.close()
    throw why
  }

  /** No engine can have its TPM: it is not worth keeping an engine that has been broken into. */
  async #endWith(old: Engine): Promise<void> {
    await this.#putAway(old)
    this.#fail('what it has left is damaged, and cannot be continued even by an engine of its own program')
  }

  /**
   * Ends an engine that does not continue. In order it would power off, in the memory that they share, the TPM that another one has or
   * is to have; that is for the end of all.
   */
  async #putAway(engine: Engine): Promise<void> {
    if (!this.#over) engine.kill()
    await engine.close()
  }

  /** The engine that was to be replaced continues. */
  async #takeBack(old: Engine, clientFd: number | undefined): Promise<void> {
    try {
      await this.#continueIn(old, clientFd)
      this.#serveBy(old)
    } catch (error) {
      this.#fail((error as Error).message)
    }
  }

  /** Lets an engine continue with the TPM and its clients. @throws SwtpmError */
  #continueIn(
    engine: Engine,
    clientFd: number | undefined,
    alone = async (): Promise<void> => {},
  ): Promise<void> {
    return inTime(continueTpm(engine, this.#served, clientFd, this.#events, alone), 'it did not take over')
  }

  /** @throws SwtpmError: the engine, or the whole succession, has ended by now */
  #serveBy(engine: Engine): void {
    if (this.#over) throw this.#goneError()
    if (engine.ended) throw startError('it has ended')
    this.#current = engine
    this.#state.apply('continued')
  }

  /** No engine serves, and none will. */
  #fail(reason: string): void {
    if (!this.#over) this.#end('failed', reason)
  }

  #end(how: 'failed' | 'closed', reason: string): void {
    this.#endReason = reason
    this.#state.apply(how)
    this.#served.allDetached()
    this.#starter.close()
    this.#events.ended(reason)
  }

  #goneError(): SwtpmError {
    const why = this.#state.is('closing') ? 'it is being closed' : this.#endReason
    return new SwtpmError('SWTPM_ERR_ENGINE_GONE', `The engine has ended: ${why}`)
  }
}
