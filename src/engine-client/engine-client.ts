/**
 * One TPM's engine, as the rest of the supervisor uses it: requests, replies and events. The process may change behind
 * it ({@link EngineSuccession}).
 *
 * Verbs wait in the engine until the running TPM command has ended; the urgent ones (CANCEL_TPM_CMD, SET_LOCALITY …)
 * overtake them. When an engine ends, every open request is rejected; later ones wait for the next engine.
 */

import { EventEmitter } from 'node:events'
import { constants } from 'node:os'
import {
  type AttachKind,
  COMMAND_GONE,
  KEY_SLOT,
  type KeySlot,
  LOCALITY_CURRENT,
  ROUTE,
  type Route,
  VERDICT,
  type Verdict,
} from '../../contract/engine-channel.ts'
import {
  commandEvent,
  commandGoneEvent,
  type EngineEventName,
  responseEvent,
  traceEvent,
} from '../../contract/engine-events.ts'
import {
  checkCryptoResp,
  engineCode,
  peekStateResp,
  processReq,
  processResp,
  respondReq,
  setKeyReq,
  word,
} from '../../contract/engine-requests.ts'
import { BIG } from '../../contract/struct.ts'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import {
  controlCode,
  type Outcome,
  type Request,
  VERBS,
  type Verb,
  type VerbName,
} from '../../contract/verbs.ts'
import { check } from '../system/native/check.ts'
import { native } from '../system/native/load.ts'
import { describeErrno } from '../system/reason.ts'
import type { EngineOptions } from './channel/engine-program.ts'
import type { EngineSpawner } from './channel/spawned-engine.ts'
import { EngineStarter } from './succession/engine-starter.ts'
import {
  EngineSuccession,
  type RunningSuccession,
  type SuccessionEvents,
} from './succession/engine-succession.ts'
import {
  type Attached,
  attachRequest,
  isListener,
  profileRequest,
  type SavedServedTpm,
  ServedTpm,
} from './succession/served-tpm.ts'

/** A text of the engine, with the words for each errno. */
const withReasons = (text: string): string =>
  text.replace(/\{errno (\d+)\}/g, (_, errno) => describeErrno(-errno).text)

export interface EngineEvents {
  ready: []
  /** @see SuccessionEvents.engineDied */
  engineDied: []
  /** @see SuccessionEvents.resumed */
  resumed: [running: boolean]
  /** @see SuccessionEvents.ended */
  exit: [reason: string]
  log: [level: number, text: string]
  clientOpened: []
  /** A data client went away; errno 0 is an ordinary end of file. */
  clientClosed: [errno: number]
  /** The device for many clients is gone. */
  managedClosed: [errno: number]
  /** A FUSE request that the supervisor answers: fuse_in_header and body. */
  fuseRequest: [request: Buffer]
  /** A command waits until the storage is locked again: answer with {@link EngineClient.setStorage}. */
  storageNeeded: []
  /** A command or response has passed; only when the engine was started with `trace`. */
  trace: [direction: 'command' | 'response', timeUs: bigint, bytes: Buffer, locality: number]
  /** A data command waits for {@link EngineClient.respond}; only while commands are intercepted. */
  command: [number: number, locality: number, bytes: Buffer]
  /** What the TPM has answered to a command of verdict `run`. */
  response: [number: number, bytes: Buffer]
  /** The answer to a command is not waited for any more. */
  commandGone: [number: number, why: keyof typeof COMMAND_GONE]
  /** A client of the control channel, or of a CUSE device's ioctls, has cancelled the command that runs. */
  cancelled: []
}

/** A TPM that is served, between two supervisors. */
export interface RunningTpm {
  readonly succession: RunningSuccession
  readonly served: SavedServedTpm
  readonly attached: Attached | undefined
  /** A device for many clients, beside the other one. */
  readonly managed: Attached | undefined
  readonly sharedStateFd: number
}

export class EngineClient extends EventEmitter<EngineEvents> {
  readonly #served: ServedTpm
  readonly #engines: EngineSuccession
  /** Engines were asked for what passes, by an option. */
  readonly #traces: boolean
  /** Data commands have been asked for. One may come after that was taken back. */
  #intercepts = false

  /**
   * The first engine is started by {@link start}, or by the first request.
   * @param saved of an earlier supervisor of this TPM, whose engine runs
   */
  constructor(spawner: EngineSpawner, options: EngineOptions, saved?: RunningTpm) {
    super()
    this.#traces = options.trace
    this.#served = new ServedTpm({
      ...saved?.served,
      attached: saved?.attached,
      managed: saved?.managed,
    })
    const starter = new EngineStarter(spawner, options, saved?.sharedStateFd)
    const events: SuccessionEvents = {
      event: (name, payload) => this.#dispatch(name, payload),
      engineDied: () => this.emit('engineDied'),
      resumed: (running) => this.emit('resumed', running),
      connectionLost: () => this.emit('clientClosed', constants.errno.ECONNRESET),
      ended: (reason) => this.emit('exit', reason),
    }
    this.#engines = new EngineSuccession(starter, this.#served, events, saved?.succession)
  }

  /**
   * What the next supervisor of this TPM has to know, and the descriptors that it needs; they stay ours. Undefined while
   * something is under way.
   */
  save(): Omit<RunningTpm, 'sharedStateFd'> | undefined {
    const succession = this.#engines.save()
    const served = this.#served.save()
    if (succession === undefined || served === undefined) return undefined
    return { succession, served, attached: this.#served.attached, managed: this.#served.managed }
  }

  /** @see EngineSuccession.start */
  start(): void {
    this.#engines.start()
  }

  /** @see EngineSuccession.started */
  get started(): boolean {
    return this.#engines.started
  }

  /** Of the engine that serves now; undefined while it starts. */
  get pid(): number | undefined {
    return this.#engines.pid
  }

  /** Executes a PTM verb in the engine. */
  async verb<V extends VerbName>(name: V, request: Request<V>): Promise<Outcome<V>> {
    const { req, resp }: Verb = VERBS[name]
    if (name === 'CANCEL_TPM_CMD') this.emit('cancelled')
    const reply = await this.#request(controlCode(name), req.encode(request, BIG))
    const result = word.decode(reply, BIG).value
    if (result !== TPM_SUCCESS) return { tpmResult: result } as Outcome<V>
    return resp.decode(reply, BIG) as Outcome<V>
  }

  /** Serves commands that come from `fd`, which stays the caller's too. @returns a TPM result */
  async attach(kind: AttachKind, fd: number, flags = 0): Promise<number> {
    const copy = check(native.duplicate(fd), 'keep a descriptor')
    const attached = { kind, fd: copy, flags }
    // An engine that takes over attaches what is noted, so nothing is noted before an engine is asked for it.
    return this.#engines.whenServing(async () => {
      let result: number | undefined
      // Noted at once: its end may be reported together with the success.
      const expected = this.#served.expect(attached)
      try {
        result = await this.#result(engineCode('ATTACH'), attachRequest(attached), [copy])
        return result
      } catch (error) {
        // Lost with its engine. The next one has been given what is noted.
        const { attached: main, managed } = this.#served
        if (!(await this.#engines.goesOn()) || (main !== attached && managed !== attached)) throw error
        result = TPM_SUCCESS
        return result
      } finally {
        if (result !== TPM_SUCCESS) expected.refused()
      }
    })
  }

  /** Executes one TPM command. @throws SwtpmError when the engine has ended */
  async process(
    command: Buffer,
    locality = LOCALITY_CURRENT,
    { isUntold = false }: { readonly isUntold?: boolean } = {},
  ): Promise<{ tpmResult: number; response: Buffer }> {
    const { length } = command
    const body = processReq.encode({ locality, isUntold: isUntold ? 1 : 0, pad: 0, length, command }, BIG)
    const reply = await this.#request(engineCode('PROCESS'), body)
    const tpmResult = word.decode(reply, BIG).value
    if (tpmResult !== 0) return { tpmResult, response: Buffer.alloc(0) }
    return { tpmResult, response: processResp.decode(reply, BIG).response }
  }

  /** Has every data command come as event `command`, or no more. */
  async intercept(on: boolean): Promise<void> {
    this.#served.intercepted = on
    this.#intercepts ||= on
    await this.#result(engineCode('INTERCEPT'), word.encode({ value: on ? 1 : 0 }, BIG))
  }

  /**
   * What becomes of an intercepted command, or follows for it.
   * @param waits asked at the moment at which the engine is
   * @returns false: it does not wait any more
   */
  async respond(
    number: number,
    verdict: Verdict,
    { bytes = Buffer.alloc(0), errno = 0 }: { bytes?: Buffer; errno?: number } = {},
    waits: () => boolean = () => true,
  ): Promise<boolean> {
    const body = respondReq.encode(
      { number, verdict: VERDICT[verdict], errno, length: bytes.length, bytes },
      BIG,
    )
    // An engine that follows another numbers commands of its own.
    return this.#engines.whenServing(
      async () => waits() && (await this.#result(engineCode('RESPOND'), body)) === TPM_SUCCESS,
    )
  }

  /** Stops serving all that is attached, and closes the engine's copies of it and ours. */
  async detach(): Promise<void> {
    await this.#result(engineCode('DETACH'), Buffer.alloc(0))
    this.#served.clientOpen = false
    this.#served.allDetached()
  }

  /** Powers the TPM off as a failing supply does. @returns a TPM result */
  cutPower(): Promise<number> {
    return this.#result(engineCode('CUT_POWER'), Buffer.alloc(0))
  }

  setRoute(route: Route): Promise<number> {
    this.#served.route = route
    return this.#result(engineCode('SET_ROUTE'), word.encode({ value: ROUTE[route] }, BIG))
  }

  /** Hands a key over; the caller wipes its copy. @returns a TPM result */
  setKey(purpose: KeySlot, key: Buffer): Promise<number> {
    const body = setKeyReq.encode({ purpose: KEY_SLOT[purpose], length: key.length, key }, BIG)
    return this.#result(engineCode('SET_KEY'), body, [], 'secret').finally(() => body.fill(0))
  }

  /** The profile of a TPM 2.0 that the next INIT is to make. @returns TPM_FAIL where libtpms has no profiles */
  async setProfile(profile: string): Promise<number> {
    const result = await this.#result(engineCode('SET_PROFILE'), profileRequest(profile))
    if (result === TPM_SUCCESS) this.#served.profile = profile
    return result
  }

  /** Has OpenSSL, as this host has configured it, try what it may refuse. @returns bits of REFUSED_CRYPTO */
  async checkCrypto(): Promise<number> {
    return checkCryptoResp.decode(await this.#request(engineCode('CHECK_CRYPTO'), Buffer.alloc(0)), BIG)
      .refused
  }

  /** Says whether the state may be written: whether the storage lock is held. */
  setStorage(locked: boolean): Promise<number> {
    this.#served.storageLocked = locked
    return this.#result(engineCode('SET_STORAGE'), word.encode({ value: locked ? 1 : 0 }, BIG))
  }

  /**
   * Asks whether the state has a blob, without loading it.
   * @param type PTM_BLOB_TYPE_*
   * @returns TPM_RETRY where there is none; `size` in bytes as stored
   */
  async peekState(type: number): Promise<{ tpmResult: number; size: number }> {
    const reply = await this.#request(engineCode('PEEK_STATE'), word.encode({ value: type }, BIG))
    const tpmResult = word.decode(reply, BIG).value
    return tpmResult === 0 ? peekStateResp.decode(reply, BIG) : { tpmResult, size: 0 }
  }

  /** @see EngineSuccession.unbroken */
  unbroken<T>(steps: () => Promise<T>): Promise<T> {
    return this.#engines.unbroken(steps)
  }

  /** @see EngineSuccession.replace */
  replace(): Promise<void> {
    return this.#engines.replace()
  }

  /** @see EngineSuccession.lastFuseRequest */
  lastFuseRequest(): bigint {
    return this.#engines.lastFuseRequest()
  }

  /** @see EngineSuccession.close */
  close(): Promise<boolean> {
    return this.#engines.close()
  }

  /** @see EngineSuccession.crash */
  crash(): void {
    this.#engines.crash()
  }

  /** @see EngineSuccession.kill */
  kill(): void {
    this.#engines.kill()
  }

  async #result(
    code: number,
    body: Buffer,
    fds: readonly number[] = [],
    content: 'plain' | 'secret' = 'plain',
  ): Promise<number> {
    return word.decode(await this.#engines.request(code, body, fds, content), BIG).value
  }

  #request(code: number, body: Buffer): Promise<Buffer> {
    return this.#engines.request(code, body, [], 'plain')
  }

  /** @throws RangeError: a breach of the protocol */
  #dispatch(name: EngineEventName, payload: Buffer): void {
    if (!this.#mayCome(name)) throw new RangeError(`event ${name}, which nobody has asked for`)
    switch (name) {
      case 'READY':
        this.emit('ready')
        break
      case 'LOG':
        this.emit('log', word.decode(payload, BIG).value, withReasons(payload.toString('utf8', word.size)))
        break
      case 'CLIENT_OPENED':
        this.#served.clientOpen = true
        this.emit('clientOpened')
        break
      case 'CLIENT_CLOSED': {
        const errno = word.decode(payload, BIG).value
        this.#served.clientOpen = false
        const kind = this.#served.attached?.kind
        // Both stay attached without a client; a device with an error does not.
        if (!isListener(kind) && (kind !== 'cuse' || errno !== 0)) this.#served.detached()
        this.emit('clientClosed', errno)
        break
      }
      case 'MANAGED_CLOSED':
        this.#served.managedDetached()
        this.emit('managedClosed', word.decode(payload, BIG).value)
        break
      case 'FUSE_REQUEST':
        this.emit('fuseRequest', payload)
        break
      case 'STORAGE_NEEDED':
        this.emit('storageNeeded')
        break
      case 'COMMAND': {
        const { number, locality } = commandEvent.decode(payload, BIG)
        this.emit('command', number, locality, payload.subarray(commandEvent.size))
        break
      }
      case 'RESPONSE':
        this.emit('response', responseEvent.decode(payload, BIG).number, payload.subarray(responseEvent.size))
        break
      case 'COMMAND_GONE': {
        const { number, why } = commandGoneEvent.decode(payload, BIG)
        this.emit('commandGone', number, why === COMMAND_GONE.client ? 'client' : 'tpm')
        break
      }
      case 'TRACE': {
        const { direction, timeUs, locality } = traceEvent.decode(payload, BIG)
        const bytes = payload.subarray(traceEvent.size)
        this.emit('trace', direction === 0 ? 'command' : 'response', timeUs, bytes, locality)
        break
      }
    }
  }

  #mayCome(name: EngineEventName): boolean {
    switch (name) {
      case 'COMMAND':
      case 'RESPONSE':
      case 'COMMAND_GONE':
        return this.#intercepts
      case 'TRACE':
        return this.#traces
      default:
        return true
    }
  }
}
