/**
 * One TPM's engines: a process at a time, because libtpms keeps its state in process globals, and another one when that
 * dies or is to be replaced. What the TPM was goes on through the heritage, memory that we keep and do not look into.
 * @see docs/design/0005-succession.md
 */

import { EventEmitter } from 'node:events'
import { closeSync, readSync } from 'node:fs'
import { endianness } from 'node:os'
import { ATTACH_FLAG, ROUTE } from '../../../contract/engine-channel.ts'
import { eventType } from '../../../contract/engine-events.ts'
import { engineCode, resumeResp, word } from '../../../contract/engine-requests.ts'
import { SHARED_STATE_LAST_UNIQUE_OFFSET, SHARED_STATE_SIZE_BYTES } from '../../../contract/limits.ts'
import { BIG } from '../../../contract/struct.ts'
import { TPM_BAD_ORDINAL, TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { controlCode } from '../../../contract/verbs.ts'
import { SwtpmError } from '../../system/errors.ts'
import { log } from '../../system/log.ts'
import { check, native } from '../../system/native.ts'
import { EngineLink } from '../channel/engine-link.ts'
import type { EngineOptions } from '../channel/engine-program.ts'
import type { Spawner } from '../channel/spawner.ts'
import { attachRequest, type EngineService, profileRequest } from './served-tpm.ts'

export interface SuccessionEvents {
  /** An engine says something: EVENT_*. That it is ready, only the first one says. */
  event: [type: number, payload: Buffer]
  /** The engine has died, and with it what it had read and not answered. Another one may take over. */
  lost: []
  /** Another engine has taken over; `running` is the TPM's state of power, in which a verb may have been lost. */
  resumed: [running: boolean]
  /** The connection of a listener's client was the dead engine's alone. */
  clientLost: []
  /** The engine has ended, and there will be no other one; nothing more comes. */
  exit: [reason: string]
}

/** A TPM that outlives so many engines within a minute has something wrong with it that the next one will not cure. */
const MAX_DEATHS_PER_MINUTE = 8

export class EngineSuccession extends EventEmitter<SuccessionEvents> {
  readonly #spawner: Spawner
  readonly #options: EngineOptions
  readonly #service: EngineService
  readonly #heritageFd: number
  #link: EngineLink
  /** Settles when a new engine has taken over, or none could. */
  #succession: Promise<void> | undefined
  /** Settles when nothing is under way that one engine has to do from start to end. */
  #unbroken: Promise<void> | undefined
  /** Settles when no engine is still to be given the descriptors. */
  #handedOut: Promise<unknown> = Promise.resolve()
  #ready = false
  #poweredOn = false
  #closing = false
  #gone: string | undefined
  #deaths: number[] = []

  constructor(spawner: Spawner, options: EngineOptions, service: EngineService) {
    super()
    this.#spawner = spawner
    this.#options = { ...options, stateFd: check(native.duplicate(options.stateFd), 'keep the state open') }
    this.#service = service
    this.#heritageFd = check(native.sharedMemory(SHARED_STATE_SIZE_BYTES), 'make memory for the engine')
    this.#link = this.#startLink(false)
    this.#link.on('end', (reason) => this.#lost(reason))
  }

  /** Of the engine that serves now; undefined while it starts. */
  get pid(): number | undefined {
    return this.#link.pid
  }

  /** Calls `act` at a moment in which one engine serves and is not about to be followed by another. */
  async whenSettled<T>(act: () => T | Promise<T>): Promise<T> {
    while (this.#succession !== undefined) await this.#succession
    return act()
  }

  /** Takes several steps by one engine: {@link replace} waits until they are done. */
  async unbroken<T>(steps: () => Promise<T>): Promise<T> {
    const done = this.whenSettled(steps)
    const all = Promise.allSettled([this.#unbroken, done]).then(() => {
      if (this.#unbroken === all) this.#unbroken = undefined
    })
    this.#unbroken = all
    return done
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
    const ask = (): Promise<Buffer> => {
      if (this.#gone !== undefined) throw this.#goneError()
      if (code === controlCode('INIT')) this.#poweredOn = true
      return this.#link.request(code, body, fds, content)
    }
    if (code !== controlCode('CANCEL_TPM_CMD')) return this.whenSettled(ask)
    try {
      // What is to be cancelled is in the engine that still runs.
      return await ask()
    } catch (error) {
      await this.whenSettled(() => {})
      if (this.#gone !== undefined) throw error
      // It has ended with that one.
      return word.encode({ value: TPM_SUCCESS }, BIG)
    }
  }

  /**
   * Puts a new engine, of the program as it lies there now, in the place of the one that runs. Clients notice nothing
   * but a pause: sessions, keys, PCRs and unread responses go along.
   * @throws SwtpmError SWTPM_ERR_ENGINE_START: it did not take over, and the old one goes on
   */
  async replace(): Promise<void> {
    const next = await this.whenSettled(() => {
      if (this.#gone !== undefined || this.#closing) throw this.#goneError()
      return this.#startLink(true)
    })
    await ready(next)
    // Meanwhile the old one may have been told to power its TPM on, or have died and been followed by a third.
    while (this.#succession !== undefined || this.#unbroken !== undefined) {
      await (this.#succession ?? this.#unbroken)
    }
    if (this.#gone !== undefined || this.#closing) {
      await next.close()
      throw this.#goneError()
    }
    const handover = this.#handOver(next)
    this.#succession = handover
      .catch(() => {})
      .finally(() => {
        this.#succession = undefined
      })
    await handover
  }

  /** The last FUSE request that an engine has read, by number; 0 for none. */
  lastFuseRequest(): bigint {
    const bytes = Buffer.alloc(8)
    readSync(this.#heritageFd, bytes, 0, bytes.length, SHARED_STATE_LAST_UNIQUE_OFFSET)
    return endianness() === 'BE' ? bytes.readBigUInt64BE() : bytes.readBigUInt64LE()
  }

  /** The engine shuts its TPM down in order and ends; resolves when it has. */
  async close(): Promise<void> {
    this.#closing = true
    await this.whenSettled(() => this.#link.close())
    this.#end('it was closed')
  }

  #startLink(fresh: boolean): EngineLink {
    const link = new EngineLink({
      spawner: this.#spawner,
      engine: this.#options,
      heritageFd: this.#heritageFd,
      fresh,
    })
    this.#handedOut = Promise.allSettled([this.#handedOut, link.started])
    link.on('event', (type, payload) => {
      if (type === eventType('READY')) {
        if (this.#ready) return
        this.#ready = true
      }
      try {
        this.emit('event', type, payload)
      } catch (error) {
        log.error(`The engine broke the protocol: ${(error as Error).message}`)
        this.#end('it broke the protocol')
      }
    })
    return link
  }

  async #handOver(next: EngineLink): Promise<void> {
    const old = this.#link
    old.removeAllListeners('end')
    let clientFd: number | undefined
    let stillServes = false
    try {
      try {
        const result = word.decode(await old.request(engineCode('HAND_OVER'), Buffer.alloc(0)), BIG).value
        clientFd = old.takeFd()
        stillServes = result === TPM_BAD_ORDINAL
        if (stillServes) throw startError('the lock on the state is not held, as after a migration')
        if (result !== TPM_SUCCESS) throw startError(`the one that runs cannot hand over: result ${result}`)
      } catch (error) {
        // If it dies over this, the new one takes over all the same, as after any death.
        if (!old.ended) throw error
        this.emit('lost')
      }
      await this.#take(next, clientFd)
      this.#adopt(next)
    } catch (error) {
      await next.close()
      if (old.ended) this.#end((error as Error).message)
      else if (stillServes) this.#adopt(old)
      else await this.#takeBack(old, clientFd)
      throw error
    } finally {
      if (clientFd !== undefined) closeSync(clientFd)
    }
    await old.close()
  }

  /** The engine that was to be replaced goes on. */
  async #takeBack(old: EngineLink, clientFd: number | undefined): Promise<void> {
    try {
      await this.#take(old, clientFd)
      this.#adopt(old)
    } catch (error) {
      this.#end((error as Error).message)
    }
  }

  /** The engine is gone, unasked. */
  #lost(reason: string): void {
    if (this.#closing || this.#gone !== undefined) return
    if (!this.#ready || !this.#poweredOn) return void this.#end(reason)
    this.emit('lost')
    this.#succession = this.#succeed(reason).finally(() => {
      this.#succession = undefined
    })
  }

  /** Starts engines until one goes on, or it is too many. */
  async #succeed(reason: string): Promise<void> {
    while (!this.#tooManyDeaths()) {
      log.error(`The engine has ended unexpectedly: ${reason}`)
      // Another address space: whoever brought that one down has learnt nothing.
      const next = this.#startLink(true)
      try {
        await ready(next)
        await this.#take(next, undefined)
        this.#adopt(next)
        log.warn('A new engine has taken over; a command that was being processed has been cancelled')
        return
      } catch (error) {
        // One that has died in its turn is followed by the next; one that will not is the end.
        if (!next.ended) {
          await next.close()
          return void this.#end(`${reason}; ${(error as Error).message}`)
        }
        // It may have read requests before it did.
        this.emit('lost')
      }
    }
    this.#end(`${reason}, as ${MAX_DEATHS_PER_MINUTE} others did within a minute`)
  }

  #tooManyDeaths(): boolean {
    const now = Date.now()
    this.#deaths = [...this.#deaths.filter((time) => now - time < 60_000), now]
    return this.#deaths.length > MAX_DEATHS_PER_MINUTE
  }

  /** Lets an engine go on with the TPM and its clients. @throws SwtpmError */
  async #take(link: EngineLink, clientFd: number | undefined): Promise<void> {
    const service = this.#service
    await link.request(engineCode('SET_STORAGE'), word.encode({ value: service.storageLocked ? 1 : 0 }, BIG))
    if (service.profile !== undefined)
      await link.request(engineCode('SET_PROFILE'), profileRequest(service.profile))
    const { tpmResult, running } = await link
      .request(engineCode('RESUME'), Buffer.alloc(0))
      .then(decodeResume)
    if (tpmResult !== TPM_SUCCESS) throw startError('it cannot go on with the TPM')
    this.emit('resumed', running !== 0)
    if (service.attached === undefined) return
    const { kind, fd, flags } = service.attached
    if (kind === 'listener' && service.clientOpen && clientFd === undefined) {
      service.clientOpen = false
      this.emit('clientLost')
    }
    const request = attachRequest({ kind, flags: flags | ATTACH_FLAG.continue })
    const fds = clientFd === undefined ? [fd] : [fd, clientFd]
    const result = word.decode(await link.request(engineCode('ATTACH'), request, fds), BIG).value
    if (result !== TPM_SUCCESS) throw startError(`it cannot serve the device: result ${result}`)
    if (service.route !== 'native') {
      await link.request(engineCode('SET_ROUTE'), word.encode({ value: ROUTE[service.route] }, BIG))
    }
  }

  #adopt(link: EngineLink): void {
    if (link.ended) throw startError('it has ended')
    this.#link = link
    link.on('end', (reason) => this.#lost(reason))
  }

  #end(reason: string): void {
    if (this.#gone !== undefined) return
    this.#gone = reason
    this.#service.letGo()
    void this.#handedOut.then(() => {
      closeSync(this.#options.stateFd)
      closeSync(this.#heritageFd)
    })
    this.emit('exit', reason)
  }

  #goneError(): SwtpmError {
    return new SwtpmError('SWTPM_ERR_ENGINE_GONE', `The engine has ended: ${this.#gone}`)
  }
}

/** @throws SwtpmError SWTPM_ERR_ENGINE_START */
function ready(link: EngineLink): Promise<void> {
  return new Promise((resolve, reject) => {
    link.on('event', (type) => type === eventType('READY') && resolve())
    link.once('end', (reason) => reject(startError(reason)))
  })
}

const startError = (why: string): SwtpmError =>
  new SwtpmError('SWTPM_ERR_ENGINE_START', `No other engine could take over: ${why}`)

/** A failure is the result alone. */
const decodeResume = (reply: Buffer): { tpmResult: number; running: number } =>
  reply.length < resumeResp.size
    ? { tpmResult: word.decode(reply, BIG).value, running: 0 }
    : resumeResp.decode(reply, BIG)
