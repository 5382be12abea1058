/**
 * One engine process, which is one TPM: libtpms keeps its state in process globals, so many TPMs are many engines.
 *
 * Requests are paired with replies by id. Verbs wait in the engine until the running TPM command has ended, the urgent
 * ones (CANCEL_TPM_CMD, SET_LOCALITY …) overtake them. When the engine ends, every open request is rejected.
 */
import { EventEmitter } from 'node:events'
import { SwtpmError } from '../errors.ts'
import { DescriptorSocket } from '../io/descriptor-socket.ts'
import { BIG } from '../protocol/struct.ts'
import { controlCode, type Outcome, type Request, VERBS, type Verb, type VerbName } from '../ptm/commands.ts'
import { type EngineOptions, type StartedEngine, startEngine } from './engine-process.ts'
import {
  ATTACH_KIND,
  type AttachKind,
  attachReq,
  ENGINE_ATTACH,
  ENGINE_DETACH,
  ENGINE_PEEK_STATE,
  ENGINE_PROCESS,
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
  encodeFrame,
  FRAME_EVENT,
  FRAME_REPLY,
  FRAME_REQUEST,
  type Frame,
  FrameDecoder,
  KEY_PURPOSE,
  type KeyPurpose,
  LOCALITY_CURRENT,
  peekStateResp,
  processReq,
  processResp,
  ROUTE,
  type Route,
  setKeyReq,
  setProfileReq,
  traceEvent,
  word,
} from './engine-wire.ts'

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
  /** The engine has ended; nothing more comes. */
  exit: [reason: string]
}

interface Pending {
  resolve(reply: Buffer): void
  reject(error: Error): void
}

export class EngineClient extends EventEmitter<EngineEvents> {
  readonly pid: number | undefined
  readonly #socket: DescriptorSocket
  readonly #decoder = new FrameDecoder()
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #gone: string | undefined

  constructor(options: EngineOptions) {
    super()
    const { child, channelFd }: StartedEngine = startEngine(options)
    this.pid = child.pid
    this.#socket = new DescriptorSocket(channelFd)
    this.#socket.on('data', (chunk) => this.#receive(chunk))
    // The exit status says more than the closed channel; it follows at once.
    this.#socket.on('close', () => void setTimeout(() => this.#end('its channel closed'), 500).unref())
    child.on('error', (error) => this.#end(error.message))
    child.on('exit', (code, signal) => {
      // Its last words may still lie in the channel.
      this.#socket.drain()
      this.#end(signal === null ? `it exited with status ${code}` : `it was killed by ${signal}`)
    })
  }

  /** Executes a PTM verb in the engine. */
  async verb<V extends VerbName>(name: V, request: Request<V>): Promise<Outcome<V>> {
    const { req, resp }: Verb = VERBS[name]
    const reply = await this.#request(controlCode(name), req.encode(request, BIG))
    const result = word.decode(reply, BIG).value
    if (result !== 0 || reply.length < resp.fixedSize) return { tpmResult: result } as Outcome<V>
    return resp.decode(reply, BIG) as Outcome<V>
  }

  /** Serves commands that come from `fd`, which stays ours too. @returns a TPM result */
  attach(kind: AttachKind, fd: number, flags = 0): Promise<number> {
    return this.#result(ENGINE_ATTACH, attachReq.encode({ kind: ATTACH_KIND[kind], flags }, BIG), [fd])
  }

  /** Stops serving the attached descriptor. @returns a TPM result */
  detach(): Promise<number> {
    return this.#result(ENGINE_DETACH, Buffer.alloc(0))
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

  /** Closes the channel: the engine shuts its TPM down in order and ends; resolves when it has. */
  async close(): Promise<void> {
    if (this.#gone !== undefined) return
    const ended = new Promise<void>((resolve) => this.once('exit', () => resolve()))
    this.#socket.close()
    await ended
  }

  async #result(
    code: number,
    body: Buffer,
    fds: readonly number[] = [],
    content: 'plain' | 'secret' = 'plain',
  ): Promise<number> {
    return word.decode(await this.#request(code, body, fds, content), BIG).value
  }

  #request(
    code: number,
    body: Buffer,
    fds: readonly number[] = [],
    content: 'plain' | 'secret' = 'plain',
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) return reject(this.#goneError())
      const id = this.#nextId
      this.#nextId = (id + 1) >>> 0 || 1
      this.#pending.set(id, { resolve, reject })
      const frame = encodeFrame(FRAME_REQUEST, id, code, body)
      const sent = this.#socket.write(frame, fds)
      // Nothing is queued before INIT, so a key has always gone at once.
      if (sent && content === 'secret') frame.fill(0)
    })
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#dispatch(frame)
    } catch (error) {
      this.#socket.close()
      this.#end(`it broke the protocol: ${(error as Error).message}`)
    }
  }

  #dispatch({ kind, id, body }: Frame): void {
    if (kind === FRAME_REPLY) {
      this.#pending.get(id)?.resolve(body)
      this.#pending.delete(id)
      return
    }
    if (kind !== FRAME_EVENT) throw new RangeError(`frame kind ${kind}`)
    const type = word.decode(body, BIG).value
    const payload = body.subarray(word.size)
    switch (type) {
      case EVENT_READY:
        this.emit('ready')
        break
      case EVENT_LOG:
        this.emit('log', word.decode(payload, BIG).value, payload.toString('utf8', word.size))
        break
      case EVENT_CLIENT_OPENED:
        this.emit('clientOpened')
        break
      case EVENT_CLIENT_CLOSED:
        this.emit('clientClosed', word.decode(payload, BIG).value)
        break
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

  #end(reason: string): void {
    if (this.#gone !== undefined) return
    this.#gone = reason
    this.#socket.close()
    const error = this.#goneError()
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
    this.emit('exit', reason)
  }

  #goneError(): SwtpmError {
    return new SwtpmError('SWTPM_ERR_ENGINE_GONE', `The engine has ended: ${this.#gone}`)
  }
}
