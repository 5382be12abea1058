/**
 * One engine process and the channel to it. Requests are paired with replies by id; events are handed on as they are.
 * When the engine ends, every open request is rejected, after everything that it has said was heard.
 */

import { EventEmitter } from 'node:events'
import { closeSync } from 'node:fs'
import { encodeFrame, FRAME_KIND, type Frame, FrameDecoder } from '../../../contract/engine-channel.ts'
import { engineArguments } from '../../../contract/engine-options.ts'
import { word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { SwtpmError } from '../../system/errors.ts'
import { DescriptorSocket } from '../../system/io/descriptor-socket.ts'
import { check, native } from '../../system/native.ts'
import type { EngineOptions } from './engine-program.ts'
import type { Spawner } from './spawner.ts'

/** How long the way in which an engine ended may take to be told, after its channel has closed. */
const STATUS_PATIENCE_MS = 500

interface Pending {
  resolve(reply: Buffer): void
  reject(error: Error): void
}

export interface EngineLinkEvents {
  event: [type: number, payload: Buffer]
  /** The engine has ended; nothing more comes. */
  end: [reason: string]
}

/** What an engine is started on. */
export interface EngineLinkOptions {
  readonly spawner: Spawner
  readonly engine: EngineOptions
  readonly heritageFd: number
  /** Execute the program as it lies there now. */
  readonly fresh: boolean
}

export class EngineLink extends EventEmitter<EngineLinkEvents> {
  /** Settles with the process's number; until then its descriptors have to stay open. @throws SwtpmError */
  readonly started: Promise<number>
  readonly #socket: DescriptorSocket
  readonly #decoder = new FrameDecoder()
  readonly #pending = new Map<number, Pending>()
  readonly #fds: number[] = []
  readonly #spawner: Spawner
  #nextId = 1
  #gone: string | undefined
  #pid: number | undefined

  constructor({ spawner, engine, heritageFd, fresh }: EngineLinkOptions) {
    super()
    this.#spawner = spawner
    const [ours, theirs] = check(native.socketPair(), 'make a socket pair for the engine')
    const { pid, ended } = spawner.spawn(engineArguments(engine), [theirs, engine.stateFd, heritageFd], fresh)
    this.started = pid
    this.#socket = new DescriptorSocket(ours)
    this.#socket.on('data', (chunk, fds) => {
      this.#fds.push(...fds)
      this.#receive(chunk)
    })
    // How it ended says more than the closed channel; it follows at once.
    this.#socket.on(
      'close',
      () => void setTimeout(() => this.#end('its channel closed'), STATUS_PATIENCE_MS).unref(),
    )
    pid
      .then(
        (number) => {
          this.#pid = number
        },
        () => {},
      )
      .finally(() => closeSync(theirs))
    void ended.then((reason) => {
      // Its last words may still lie in the channel.
      this.#socket.drain()
      this.#end(reason)
    })
  }

  get pid(): number | undefined {
    return this.#pid
  }

  get ended(): boolean {
    return this.#gone !== undefined
  }

  /**
   * @param fds go along, and stay ours
   * @param content `secret`: the copy that is made of `body` is wiped
   * @throws SwtpmError SWTPM_ERR_ENGINE_GONE
   */
  request(
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
      const frame = encodeFrame(FRAME_KIND.request, id, code, body)
      const sent = this.#socket.write(frame, fds)
      // Nothing is queued before INIT, so a key has always gone at once.
      if (sent && content === 'secret') frame.fill(0)
    })
  }

  /** The descriptor that came with the last reply, now ours to close. */
  takeFd(): number | undefined {
    return this.#fds.shift()
  }

  /** Closes the channel: the engine shuts its TPM down in order and ends; resolves when it has. */
  async close(): Promise<void> {
    if (this.#gone !== undefined) return
    const ended = new Promise<void>((resolve) => this.once('end', () => resolve()))
    this.#socket.close()
    // Without the spawner nobody tells when it has.
    await Promise.race([ended, this.#spawner.gone])
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
    if (kind === FRAME_KIND.reply) {
      this.#pending.get(id)?.resolve(body)
      this.#pending.delete(id)
    } else if (kind === FRAME_KIND.event) {
      this.emit('event', word.decode(body, BIG).value, body.subarray(word.size))
    } else {
      throw new RangeError(`frame kind ${kind}`)
    }
  }

  #end(reason: string): void {
    if (this.#gone !== undefined) return
    this.#gone = reason
    this.#socket.close()
    for (const fd of this.#fds.splice(0)) closeSync(fd)
    const error = this.#goneError()
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
    this.emit('end', reason)
  }

  #goneError(): SwtpmError {
    return new SwtpmError('SWTPM_ERR_ENGINE_GONE', `The engine has ended: ${this.#gone}`)
  }
}
