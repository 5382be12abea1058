/**
 * One engine process and the channel to it. Requests are paired with replies by id; events are handed on as they are. An engine
 * that says what the contract does not have is killed: it has been broken into, or is no engine.
 * When the engine ends, every open request is rejected, after everything that it has sent was handed on.
 */

import { closeSync } from 'node:fs'
import { encodeFrame, FRAME_KIND, type Frame, FrameDecoder } from '../../../contract/engine-channel.ts'
import { type EngineEventName, readyEvent } from '../../../contract/engine-events.ts'
import { engineArguments } from '../../../contract/engine-options.ts'
import { word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { SwtpmError } from '../../system/errors.ts'
import { guarded } from '../../system/guard.ts'
import { DescriptorSocket } from '../../system/io/descriptor-socket.ts'
import { log } from '../../system/log.ts'
import { check } from '../../system/native/check.ts'
import { native } from '../../system/native/load.ts'
import { within } from '../../system/time-limit.ts'
import type { EngineOptions } from './engine-program.ts'
import { bringsDescriptor, checkEvent, checkReply } from './engine-says.ts'
import type { EngineSpawner, SpawnedEngine } from './spawned-engine.ts'

/** After the channel of an engine has closed: how long its parent may take to report the way in which it ended. */
const STATUS_PATIENCE_MS = 500
/** How long an engine may take to end after its channel was closed. It gives a running command as much. */
const CLOSED_PATIENCE_MS = 3000
/** How long the end of an engine that was killed may take: one that waits for a disk in the kernel ends later. */
const KILLED_PATIENCE_MS = 2000

interface Pending {
  readonly code: number
  resolve(reply: Buffer): void
  reject(error: Error): void
}

export interface SavedLink {
  readonly pid: number
  readonly nextId: number
  /** @see EngineLink.build */
  readonly build: number
}

export interface EngineLinkEvents {
  /** It fits the contract. @throws RangeError where what it says cannot be */
  event(name: EngineEventName, payload: Buffer): void
  /** The engine has ended; nothing more comes. */
  ended(reason: string): void
}

/** What an engine is started on. */
export interface EngineLinkOptions {
  readonly spawner: Pick<EngineSpawner, 'spawn' | 'gone'>
  readonly engine: EngineOptions
  readonly sharedStateFd: number
  /** Execute the program that is there now, where the spawner of a fleet would make a copy of itself. */
  readonly fresh: boolean
}

export class EngineLink {
  /** Settles with the process's number; until then its descriptors have to stay open. @throws SwtpmError */
  readonly started: Promise<number>
  readonly #socket: DescriptorSocket
  readonly #decoder = new FrameDecoder()
  readonly #pending = new Map<number, Pending>()
  /** Of a client, which came with the reply to HAND_OVER. */
  #clientFd: number | undefined
  readonly #spawner: Pick<EngineSpawner, 'gone'>
  readonly #events: EngineLinkEvents
  readonly #kill: () => void
  readonly #hasEnded: Promise<void>
  #resolveEnded!: () => void
  #nextId: number
  #gone: string | undefined
  /** What it has said that the contract does not have. */
  #breach: string | undefined
  #killed = false
  #pid: number | undefined
  #build: number | undefined

  /** Starts an engine. @throws SystemError */
  static start(
    { spawner, engine, sharedStateFd, fresh }: EngineLinkOptions,
    events: EngineLinkEvents,
  ): EngineLink {
    const [ours, theirs] = check(native.socketPair(), 'make a socket pair for the engine')
    const spawned = spawner.spawn(
      engineArguments(engine),
      { channel: theirs, state: engine.stateFd, sharedState: sharedStateFd },
      fresh,
    )
    spawned.pid.catch(() => {}).finally(() => closeSync(theirs))
    return new EngineLink(spawner, ours, spawned, 1, events)
  }

  /** Takes over the channel to an engine that runs. */
  static resume(
    spawner: Pick<EngineSpawner, 'gone'>,
    fd: number,
    spawned: SpawnedEngine,
    { pid, nextId, build }: SavedLink,
    events: EngineLinkEvents,
  ): EngineLink {
    const link = new EngineLink(spawner, fd, spawned, nextId, events)
    link.#pid = pid
    link.#build = build
    return link
  }

  private constructor(
    spawner: Pick<EngineSpawner, 'gone'>,
    channelFd: number,
    { pid, ended, kill }: SpawnedEngine,
    nextId: number,
    events: EngineLinkEvents,
  ) {
    this.#spawner = spawner
    this.#nextId = nextId
    this.#events = events
    this.#hasEnded = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
    this.#kill = kill
    this.started = pid
    this.#socket = new DescriptorSocket(channelFd)
    this.#socket.on('data', (chunk, fds) => {
      this.#receive(chunk, fds)
    })
    // How it ended says more than the closed channel; it follows at once. Where it does not, the engine has left us, and lives.
    this.#socket.on('close', () => {
      setTimeout(() => this.kill('its channel closed'), STATUS_PATIENCE_MS).unref()
    })
    pid.then(
      (number) => {
        this.#pid = number
      },
      () => {},
    )
    const reported = ended.then((reason) => {
      // What it has sent last may still be in the channel.
      this.#socket.drain()
      this.#end(this.#breach ?? reason)
    })
    guarded(reported)
  }

  /** What the next Node has to know; undefined while something is under way. The channel is {@link channelFd}. */
  save(): SavedLink | undefined {
    const quiet =
      // How its engine has ended may still have to be heard.
      this.#socket.open &&
      !this.#killed &&
      this.#pending.size === 0 &&
      this.#decoder.isEmpty &&
      this.#socket.pendingBytes === 0 &&
      this.#clientFd === undefined
    if (!quiet || this.ended || this.#pid === undefined) return undefined
    return { pid: this.#pid, nextId: this.#nextId, build: this.build }
  }

  get channelFd(): number {
    return this.#socket.fd
  }

  get pid(): number | undefined {
    return this.#pid
  }

  /** The same as that of another engine: both are of the same program, with the same libtpms. 0: unknown. */
  get build(): number {
    return this.#build ?? 0
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
      this.#pending.set(id, { code, resolve, reject })
      const frame = encodeFrame(FRAME_KIND.request, id, code, body)
      const sent = this.#socket.write(frame, fds)
      // Nothing is queued before INIT, so a key has always gone at once.
      if (sent && content === 'secret') frame.fill(0)
    })
  }

  /** The client's descriptor that came with the reply to HAND_OVER, now the caller's to close. */
  takeFd(): number | undefined {
    const fd = this.#clientFd
    this.#clientFd = undefined
    return fd
  }

  /** The engine, for messages. */
  describe(): string {
    return this.#pid === undefined ? 'The engine' : `The engine (process ${this.#pid})`
  }

  /**
   * Closes the channel: the engine shuts its TPM down in order and ends. One that has not ended 3 s later is killed.
   * @returns whether it has ended. That is unknown without the spawner, which reports it, and false when not even being
   * killed has ended it within 2 s
   */
  async close(): Promise<boolean> {
    const closed = Promise.race([this.#hasEnded, this.#spawner.gone])
    if (!this.#killed) {
      this.#socket.close()
      if ((await within(CLOSED_PATIENCE_MS, closed, 'late')) !== 'late') return this.ended
      log.warn(`${this.describe()} has not ended within ${CLOSED_PATIENCE_MS / 1000} s: it is killed`)
      this.kill()
    }
    await within(KILLED_PATIENCE_MS, closed, 'late')
    return this.ended
  }

  /**
   * Ends the engine, with nothing put in order. What it says from now on is not heard. Its channel stays open until it has ended: one
   * that noticed the end of that first would power its TPM off, and leave that to the next engine so.
   * @param reason for its end, if its parent does not report any
   */
  kill(reason = 'it was killed'): void {
    if (this.#gone !== undefined) return
    if (!this.#killed) {
      this.#killed = true
      this.#socket.pause()
      setTimeout(() => this.#end(reason), KILLED_PATIENCE_MS).unref()
    }
    this.#kill()
  }

  #receive(chunk: Buffer, fds: readonly number[]): void {
    if (this.#killed) {
      for (const fd of fds) closeSync(fd)
      return
    }
    try {
      this.#keep(fds)
      for (const frame of this.#decoder.push(chunk)) this.#dispatch(frame)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#breach = `it broke the protocol: ${error.message}`
      this.kill(this.#breach)
    }
  }

  /** @throws RangeError for descriptors that nobody has asked for */
  #keep(fds: readonly number[]): void {
    const [first, ...others] = fds
    if (first === undefined) return
    const awaited = [...this.#pending.values()].some(({ code }) => bringsDescriptor(code))
    if (awaited && this.#clientFd === undefined && others.length === 0) {
      this.#clientFd = first
      return
    }
    for (const fd of fds) closeSync(fd)
    throw new RangeError(`${fds.length} descriptors that nobody has asked for`)
  }

  /** @throws RangeError */
  #dispatch({ kind, id, body }: Frame): void {
    if (kind === FRAME_KIND.reply) {
      const pending = this.#pending.get(id)
      if (pending === undefined) throw new RangeError(`a reply to no request, ${id}`)
      checkReply(pending.code, body)
      this.#pending.delete(id)
      pending.resolve(body)
    } else if (kind === FRAME_KIND.event) {
      const type = word.decode(body, BIG).value
      const payload = body.subarray(word.size)
      const name = checkEvent(type, payload)
      // What it says first is from before it has read anything of a guest.
      if (name === 'READY') this.#build ??= readyEvent.decode(payload, BIG).build
      this.#events.event(name, payload)
    } else {
      throw new RangeError(`frame kind ${kind}`)
    }
  }

  #end(reason: string): void {
    if (this.#gone !== undefined) return
    this.#gone = reason
    this.#socket.close()
    if (this.#clientFd !== undefined) closeSync(this.#clientFd)
    this.#clientFd = undefined
    const error = this.#goneError()
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
    this.#resolveEnded()
    this.#events.ended(reason)
  }

  #goneError(): SwtpmError {
    return new SwtpmError('SWTPM_ERR_ENGINE_GONE', `The engine has ended: ${this.#gone}`)
  }
}
