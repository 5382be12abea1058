/**
 * One TPM's engine: a process at a time, because libtpms keeps its state in process globals, and another one when that
 * dies or is to be replaced. What the TPM was goes on through the heritage, memory that we keep and do not look into.
 *
 * Verbs wait in the engine until the running TPM command has ended, the urgent ones (CANCEL_TPM_CMD, SET_LOCALITY …)
 * overtake them. When an engine ends, every open request is rejected; later ones wait for the next engine.
 * @see docs/design/0005-succession.md
 */
import { EventEmitter } from 'node:events'
import { closeSync, readSync } from 'node:fs'
import { constants, endianness } from 'node:os'
import { SwtpmError } from '../errors.ts'
import { log } from '../log.ts'
import { check, native } from '../native.ts'
import { BIG } from '../protocol/struct.ts'
import { TPM_BAD_ORDINAL, TPM_SUCCESS } from '../protocol/tpm-result.ts'
import { controlCode, type Outcome, type Request, VERBS, type Verb, type VerbName } from '../ptm/commands.ts'
import { EngineLink } from './engine-link.ts'
import type { EngineOptions } from './engine-program.ts'
import {
  ATTACH_FLAG_CONTINUE,
  ATTACH_KIND,
  type AttachKind,
  attachReq,
  ENGINE_ATTACH,
  ENGINE_DETACH,
  ENGINE_HAND_OVER,
  ENGINE_PEEK_STATE,
  ENGINE_PROCESS,
  ENGINE_RESUME,
  ENGINE_SET_KEY,
  ENGINE_SET_PROFILE,
  ENGINE_SET_ROUTE,
  ENGINE_SET_STORAGE,
  EVENT_CLIENT_CLOSED,
  EVENT_CLIENT_OPENED,
  EVENT_FUSE_REQUEST,
  EVENT_LOG,
  EVENT_READY,
  EVENT_STORAGE_NEEDED,
  EVENT_TRACE,
  HERITAGE_BYTES,
  HERITAGE_LAST_UNIQUE_OFFSET,
  KEY_PURPOSE,
  type KeyPurpose,
  LOCALITY_CURRENT,
  peekStateResp,
  processReq,
  processResp,
  ROUTE,
  type Route,
  resumeResp,
  setKeyReq,
  setProfileReq,
  traceEvent,
  word,
} from './engine-wire.ts'
import type { Spawner } from './spawner.ts'

export interface EngineEvents {
  ready: []
  log: [level: number, text: string]
  clientOpened: []
  /** A data client went away; errno 0 is an ordinary end of file. */
  clientClosed: [errno: number]
  /** A FUSE request that the supervisor answers: fuse_in_header and body. */
  fuseRequest: [request: Buffer]
  /** A command waits until the storage is locked again: answer with {@link EngineClient.setStorage}. */
  storageNeeded: []
  /** A command or response has passed; only when the engine was started with `trace`. */
  trace: [direction: 'command' | 'response', timeUs: bigint, bytes: Buffer]
  /** The engine has died, and with it what it had read and not answered. Another one may take over. */
  lost: []
  /** Another engine has taken over; `running` is the TPM's state of power, in which a verb may have been lost. */
  resumed: [running: boolean]
  /** The engine has ended, and there will be no other one; nothing more comes. */
  exit: [reason: string]
}

/** A TPM that outlives so many engines within a minute has something wrong with it that the next one will not cure. */
const MAX_DEATHS_PER_MINUTE = 8

interface Attached {
  readonly kind: AttachKind
  /** A duplicate: the caller's own may be closed. */
  readonly fd: number
  readonly flags: number
}

export class EngineClient extends EventEmitter<EngineEvents> {
  readonly #spawner: Spawner
  readonly #options: EngineOptions
  readonly #heritageFd: number
  #link: EngineLink
  /** Settles when a new engine has taken over, or none could. */
  #succession: Promise<void> | undefined
  /** Settles when no engine is still to be given the descriptors. */
  #handedOut: Promise<unknown> = Promise.resolve()
  #ready = false
  #poweredOn = false
  #closing = false
  #gone: string | undefined
  #deaths: number[] = []
  // What a new engine has to be told.
  #attached: Attached | undefined
  #clientOpen = false
  #route: Route = 'native'
  #storageLocked = true

  constructor(spawner: Spawner, options: EngineOptions) {
    super()
    this.#spawner = spawner
    this.#options = { ...options, stateFd: check(native.duplicate(options.stateFd), 'keep the state open') }
    this.#heritageFd = check(native.sharedMemory(HERITAGE_BYTES), 'make memory for the engine')
    this.#link = this.#startLink(false)
    this.#link.on('end', (reason) => this.#lost(reason))
  }

  /** Of the engine that serves now; undefined while it starts. */
  get pid(): number | undefined {
    return this.#link.pid
  }

  /** Executes a PTM verb in the engine. */
  async verb<V extends VerbName>(name: V, request: Request<V>): Promise<Outcome<V>> {
    const { req, resp }: Verb = VERBS[name]
    const reply = await this.#request(controlCode(name), req.encode(request, BIG))
    const result = word.decode(reply, BIG).value
    if (result !== 0 || reply.length < resp.fixedSize) return { tpmResult: result } as Outcome<V>
    return resp.decode(reply, BIG) as Outcome<V>
  }

  /** Serves commands that come from `fd`, which stays the caller's too. @returns a TPM result */
  async attach(kind: AttachKind, fd: number, flags = 0): Promise<number> {
    const copy = check(native.duplicate(fd), 'keep a descriptor')
    const attached = { kind, fd: copy, flags }
    // An engine that takes over attaches what it finds here, and must not find what is yet to be asked for.
    await this.#settled()
    const before = this.#attached
    // Known at once: its end may be told in the same breath as the success.
    this.#attached ??= attached
    const result = await this.#result(ENGINE_ATTACH, attachRequest(attached), [copy])
    if (result === TPM_SUCCESS) return result
    if (before === undefined) this.#attached = undefined
    closeSync(copy)
    return result
  }

  /** Stops serving the attached descriptor. @returns a TPM result */
  async detach(): Promise<number> {
    const result = await this.#result(ENGINE_DETACH, Buffer.alloc(0))
    this.#letGo()
    return result
  }

  /** Executes one TPM command. @throws SwtpmError when the engine has ended */
  async process(
    command: Buffer,
    locality = LOCALITY_CURRENT,
  ): Promise<{ tpmResult: number; response: Buffer }> {
    const body = processReq.encode({ locality, pad: 0, pad2: 0, length: command.length, command }, BIG)
    const reply = await this.#request(ENGINE_PROCESS, body)
    const tpmResult = word.decode(reply, BIG).value
    if (tpmResult !== 0) return { tpmResult, response: Buffer.alloc(0) }
    return { tpmResult, response: processResp.decode(reply, BIG).response }
  }

  setRoute(route: Route): Promise<number> {
    this.#route = route
    return this.#result(ENGINE_SET_ROUTE, word.encode({ value: ROUTE[route] }, BIG))
  }

  /** Hands a key over; the caller wipes its copy. @returns a TPM result */
  setKey(purpose: KeyPurpose, key: Buffer): Promise<number> {
    const body = setKeyReq.encode({ purpose: KEY_PURPOSE[purpose], length: key.length, key }, BIG)
    return this.#result(ENGINE_SET_KEY, body, [], 'secret').finally(() => body.fill(0))
  }

  /** The profile of a TPM 2.0 that the next INIT is to make. @returns TPM_FAIL where libtpms has no profiles */
  setProfile(profile: string): Promise<number> {
    const json = Buffer.from(profile)
    return this.#result(ENGINE_SET_PROFILE, setProfileReq.encode({ length: json.length, json }, BIG))
  }

  /** Says whether the state may be written: whether the storage lock is held. */
  setStorage(locked: boolean): Promise<number> {
    this.#storageLocked = locked
    return this.#result(ENGINE_SET_STORAGE, word.encode({ value: locked ? 1 : 0 }, BIG))
  }

  /**
   * Asks whether the state has a blob, without loading it.
   * @param type PTM_BLOB_TYPE_*
   * @returns TPM_RETRY where there is none; `size` in bytes as stored
   */
  async peekState(type: number): Promise<{ tpmResult: number; size: number }> {
    const reply = await this.#request(ENGINE_PEEK_STATE, word.encode({ value: type }, BIG))
    const tpmResult = word.decode(reply, BIG).value
    return tpmResult === 0 ? peekStateResp.decode(reply, BIG) : { tpmResult, size: 0 }
  }

  /**
   * Puts a new engine, of the program as it lies there now, in the place of the one that runs. Clients notice nothing
   * but a pause: sessions, keys, PCRs and unread responses go along.
   * @throws SwtpmError SWTPM_ERR_ENGINE_START: it did not take over, and the old one goes on
   */
  async replace(): Promise<void> {
    await this.#settled()
    if (this.#gone !== undefined || this.#closing) throw this.#goneError()
    const next = this.#startLink(true)
    await ready(next)
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
    readSync(this.#heritageFd, bytes, 0, bytes.length, HERITAGE_LAST_UNIQUE_OFFSET)
    return endianness() === 'BE' ? bytes.readBigUInt64BE() : bytes.readBigUInt64LE()
  }

  /** The engine shuts its TPM down in order and ends; resolves when it has. */
  async close(): Promise<void> {
    this.#closing = true
    await this.#settled()
    await this.#link.close()
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
      try {
        this.#dispatch(type, payload)
      } catch (error) {
        log.error(`Error: The engine broke the protocol: ${(error as Error).message}`)
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
        const result = word.decode(await old.request(ENGINE_HAND_OVER, Buffer.alloc(0)), BIG).value
        clientFd = old.takeFd()
        stillServes = result === TPM_BAD_ORDINAL
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
      log.error(`Error: The engine has ended unexpectedly: ${reason}`)
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
      }
    }
    this.#end(`${reason}, as ${MAX_DEATHS_PER_MINUTE} others did within a minute`)
  }

  /** No engine is being replaced. */
  async #settled(): Promise<void> {
    while (this.#succession !== undefined) await this.#succession
  }

  #tooManyDeaths(): boolean {
    const now = Date.now()
    this.#deaths = [...this.#deaths.filter((time) => now - time < 60_000), now]
    return this.#deaths.length > MAX_DEATHS_PER_MINUTE
  }

  /** Lets an engine go on with the TPM and its clients. @throws SwtpmError */
  async #take(link: EngineLink, clientFd: number | undefined): Promise<void> {
    await link.request(ENGINE_SET_STORAGE, word.encode({ value: this.#storageLocked ? 1 : 0 }, BIG))
    const { tpmResult, running } = await link.request(ENGINE_RESUME, Buffer.alloc(0)).then(decodeResume)
    if (tpmResult !== TPM_SUCCESS) throw startError('it cannot go on with the TPM')
    this.emit('resumed', running !== 0)
    if (this.#attached === undefined) return
    const { kind, fd, flags } = this.#attached
    if (kind === 'listener' && this.#clientOpen && clientFd === undefined) {
      // The connection was the dead engine's alone.
      this.#clientOpen = false
      this.emit('clientClosed', constants.errno.ECONNRESET)
    }
    const request = attachRequest({ kind, flags: flags | ATTACH_FLAG_CONTINUE })
    const fds = clientFd === undefined ? [fd] : [fd, clientFd]
    const result = word.decode(await link.request(ENGINE_ATTACH, request, fds), BIG).value
    if (result !== TPM_SUCCESS) throw startError(`it cannot serve the device: result ${result}`)
    if (this.#route !== 'native') {
      await link.request(ENGINE_SET_ROUTE, word.encode({ value: ROUTE[this.#route] }, BIG))
    }
  }

  #adopt(link: EngineLink): void {
    if (link.ended) throw startError('it has ended')
    this.#link = link
    link.on('end', (reason) => this.#lost(reason))
  }

  async #result(
    code: number,
    body: Buffer,
    fds: readonly number[] = [],
    content: 'plain' | 'secret' = 'plain',
  ): Promise<number> {
    return word.decode(await this.#request(code, body, fds, content), BIG).value
  }

  async #request(
    code: number,
    body: Buffer,
    fds: readonly number[] = [],
    content: 'plain' | 'secret' = 'plain',
  ): Promise<Buffer> {
    // What is to be cancelled is in the engine that still runs.
    if (code !== controlCode('CANCEL_TPM_CMD')) await this.#settled()
    if (this.#gone !== undefined) throw this.#goneError()
    if (code === controlCode('INIT')) this.#poweredOn = true
    return this.#link.request(code, body, fds, content)
  }

  #dispatch(type: number, payload: Buffer): void {
    switch (type) {
      case EVENT_READY:
        if (!this.#ready) {
          this.#ready = true
          this.emit('ready')
        }
        break
      case EVENT_LOG:
        this.emit('log', word.decode(payload, BIG).value, payload.toString('utf8', word.size))
        break
      case EVENT_CLIENT_OPENED:
        this.#clientOpen = true
        this.emit('clientOpened')
        break
      case EVENT_CLIENT_CLOSED: {
        const errno = word.decode(payload, BIG).value
        this.#clientOpen = false
        if (this.#attached?.kind !== 'listener' && (this.#attached?.kind !== 'cuse' || errno !== 0))
          this.#letGo()
        this.emit('clientClosed', errno)
        break
      }
      case EVENT_FUSE_REQUEST:
        this.emit('fuseRequest', payload)
        break
      case EVENT_STORAGE_NEEDED:
        this.emit('storageNeeded')
        break
      case EVENT_TRACE: {
        const { direction, timeUs } = traceEvent.decode(payload, BIG)
        const bytes = payload.subarray(traceEvent.size)
        this.emit('trace', direction === 0 ? 'command' : 'response', timeUs, bytes)
        break
      }
      default:
        throw new RangeError(`event type ${type}`)
    }
  }

  /** Nothing is attached any more. */
  #letGo(): void {
    if (this.#attached !== undefined) closeSync(this.#attached.fd)
    this.#attached = undefined
    this.#route = 'native'
  }

  #end(reason: string): void {
    if (this.#gone !== undefined) return
    this.#gone = reason
    this.#letGo()
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
    link.on('event', (type) => type === EVENT_READY && resolve())
    link.once('end', (reason) => reject(startError(reason)))
  })
}

const startError = (why: string): SwtpmError =>
  new SwtpmError('SWTPM_ERR_ENGINE_START', `No other engine could take over: ${why}`)

const attachRequest = ({ kind, flags }: Pick<Attached, 'kind' | 'flags'>): Buffer =>
  attachReq.encode({ kind: ATTACH_KIND[kind], flags }, BIG)

/** A failure is the result alone. */
const decodeResume = (reply: Buffer): { tpmResult: number; running: number } =>
  reply.length < resumeResp.size
    ? { tpmResult: word.decode(reply, BIG).value, running: 0 }
    : resumeResp.decode(reply, BIG)
