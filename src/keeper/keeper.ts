/**
 * The connection to the keeper, the process that lasts as long as the TPM (native/keeper). It starts this one, is the parent
 * of the engines, holds the lock on the state, and is sent the signals.
 *
 * The keeper answers each request at once, so asking waits for the answer.
 */
import { AsyncResource } from 'node:async_hooks'
import {
  KEEPER_EVENTS,
  KEEPER_FD_VARIABLE,
  KEEPER_REQUESTS,
  MAX_KEEPER_MESSAGE_BYTES,
} from '../../contract/keeper.ts'
import { HOST } from '../../contract/struct.ts'
import { noteActivity } from '../system/activity.ts'
import { SwtpmError } from '../system/errors.ts'
import { check } from '../system/native/check.ts'
import { native } from '../system/native/load.ts'
import { READABLE } from '../system/native/types.ts'

const HEADER_BYTES = 8
const EAGAIN = -11
const { littleEndian: LITTLE } = HOST
const NO_BYTES = Buffer.alloc(0)

export interface KeeperMessage {
  readonly code: number
  /** As a request's answer: a result, or a negative errno. */
  readonly value: number
  readonly bytes: Buffer
  readonly fds: readonly number[]
}

/** What the keeper says unasked. */
export interface KeeperListener {
  signal(number: number): void
  engineEnded(pid: number, status: number, signal: number): void
}

/** Words as the keeper reads and writes them. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) {
    if (LITTLE) bytes.writeInt32LE(value | 0, i * 4)
    else bytes.writeInt32BE(value | 0, i * 4)
  }
  return bytes
}

export const wordAt = (bytes: Buffer, index: number): number =>
  LITTLE ? bytes.readInt32LE(index * 4) : bytes.readInt32BE(index * 4)

/** The number of the connection's descriptor; undefined in a program that no keeper has started. */
export function keeperFd(): number | undefined {
  const text = process.env[KEEPER_FD_VARIABLE]
  return text === undefined ? undefined : Number.parseInt(text, 10)
}

export class Keeper {
  readonly #fd: number
  readonly #poller: InstanceType<typeof native.Poller>
  readonly #buffer = Buffer.allocUnsafeSlow(HEADER_BYTES + MAX_KEEPER_MESSAGE_BYTES)
  readonly #signals: number[] = []
  readonly #ends: [pid: number, status: number, signal: number][] = []
  #listener: Partial<KeeperListener> = {}
  #eventsSeen = 0
  /** The number of the process that lasts. */
  pid = process.pid

  private constructor(fd: number) {
    this.#fd = fd
    check(native.setCloseOnExec(fd, true), 'use the connection to the keeper')
    this.#poller = new native.Poller(
      fd,
      AsyncResource.bind(() => this.#hear()),
    )
  }

  /** @returns undefined in a program that no keeper has started */
  static connect(): Keeper | undefined {
    const fd = keeperFd()
    if (fd === undefined) return undefined
    delete process.env[KEEPER_FD_VARIABLE]
    return new Keeper(fd)
  }

  /** Whether another Node was at work before this one. */
  static get hasWoken(): boolean {
    return process.env[KEEPER_FD_VARIABLE]?.includes('wake') ?? false
  }

  /**
   * The command line asks for a TPM.
   * @param handedIn descriptors that are this process's alone from now on
   */
  serve(background: boolean, handedIn: readonly number[]): void {
    this.pid = this.ask('SERVE', background ? 1 : 0, words(...handedIn)).value
  }

  /** Events come from now on. */
  listen(listener: Partial<KeeperListener>): void {
    this.#listener = { ...this.#listener, ...listener }
    this.#poller.start(READABLE)
    this.#deliver()
  }

  /** How many events have been handed on. */
  get eventsSeen(): number {
    return this.#eventsSeen
  }

  /** @returns the answer, whose value is a negative errno after a failure */
  ask(
    name: keyof typeof KEEPER_REQUESTS,
    value = 0,
    bytes: Buffer = NO_BYTES,
    fds: readonly number[] = [],
  ): KeeperMessage {
    this.#send(name, value, bytes, fds)
    for (;;) {
      const message = this.#receive()
      if (message.code === KEEPER_EVENTS.REPLY) return message
      this.#note(message)
      // What is heard on the way is handed on when the caller is done.
      setImmediate(() => this.#deliver())
    }
  }

  /** The first message to a Node that follows another one. */
  wakeMessage(): KeeperMessage {
    return this.#receive()
  }

  #send(name: keyof typeof KEEPER_REQUESTS, value: number, bytes: Buffer, fds: readonly number[]): void {
    const packet = Buffer.concat([words(KEEPER_REQUESTS[name], value), bytes])
    check(native.sendMessage(this.#fd, packet, 0, packet.length, fds), 'ask the keeper')
  }

  /** Waits for a message. @throws SwtpmError SWTPM_ERR_ENDED when the keeper has gone */
  #receive(): KeeperMessage {
    const fds: number[] = []
    return this.#decoded(this.#receiveInto(fds), fds)
  }

  /** @returns bytes received, or a negative errno */
  #receiveInto(fds: number[]): number {
    return native.receiveMessage(this.#fd, this.#buffer, 0, this.#buffer.length, fds)
  }

  #decoded(result: number, fds: readonly number[]): KeeperMessage {
    const n = check(result, 'hear the keeper')
    if (n < HEADER_BYTES) throw new SwtpmError('SWTPM_ERR_ENDED', 'The keeper has ended')
    return {
      code: wordAt(this.#buffer, 0),
      value: wordAt(this.#buffer, 1),
      bytes: Buffer.from(this.#buffer.subarray(HEADER_BYTES, n)),
      fds,
    }
  }

  #hear(): void {
    noteActivity()
    try {
      // What was there may have been received meanwhile, on the way to an answer.
      native.setNonBlocking(this.#fd, true)
      const fds: number[] = []
      const result = this.#receiveInto(fds)
      native.setNonBlocking(this.#fd, false)
      if (result === EAGAIN) return
      this.#note(this.#decoded(result, fds))
    } catch {
      // It was killed. With our descriptors the engine loses its channel, shuts its TPM down and ends.
      process.exit(1)
    }
    this.#deliver()
  }

  #note({ code, value, bytes }: KeeperMessage): void {
    if (code === KEEPER_EVENTS.SIGNAL) this.#signals.push(value)
    else if (code === KEEPER_EVENTS.ENGINE_ENDED) this.#ends.push([value, wordAt(bytes, 0), wordAt(bytes, 1)])
  }

  #deliver(): void {
    const { signal, engineEnded } = this.#listener
    while (engineEnded !== undefined && this.#ends.length > 0) {
      this.#eventsSeen++
      engineEnded(...(this.#ends.shift() as [number, number, number]))
    }
    while (signal !== undefined && this.#signals.length > 0) {
      this.#eventsSeen++
      signal(this.#signals.shift() as number)
    }
  }
}
