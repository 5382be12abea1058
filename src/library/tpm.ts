/** A TPM that a program has made, and scripts. */

import { setMaxListeners } from 'node:events'
import type { Exchange } from '../responders/exchange.ts'
import type { Fault as ActiveFault } from '../responders/fault.ts'
import type { Responder } from '../responders/responder.ts'
import type { Response } from '../responders/response.ts'
import type { When } from '../responders/when/when.ts'
import type { SocketConfig } from '../serve/config.ts'
import type { Scripting } from '../serve/scripting/scripting.ts'
import type { Session } from '../serve/session.ts'
import { SwtpmError } from '../system/errors.ts'
import { getHandles, type HandleKind, handles as handlesIn } from '../tpm-commands/tpm2-commands.ts'
import { requireOneOf, wrongArgument } from './arguments.ts'
import type { ControlledDevice, Device, Exposure } from './device.ts'
import { ExchangeLog } from './exchange-log.ts'
import { STARTUPS, type Startup } from './options.ts'
import { sendInProcess } from './send.ts'
import { restoreBlobs, type Snapshot, saveBlobs } from './snapshot.ts'
import type { SharedSpawner } from './spawner.ts'
import type { StatePlace } from './state-place.ts'

/** A fault at work. `using` or `[Symbol.dispose]()` ends it. */
export interface Fault extends Disposable {
  /** The rule as it was given. */
  readonly text: string
  /** How many commands it has struck. */
  readonly struck: number
  /** The next exchange that it strikes. @throws Error after `timeoutMs`, 10 s without it */
  next(options?: { readonly timeoutMs?: number }): Promise<Exchange>
}

const DEFAULT_LOCALITY = 0
const DEFAULT_TIMEOUT_MS = 10_000

/** What {@link createTpm} hands over to a TPM. */
export interface Parts {
  readonly config: SocketConfig
  readonly session: Session
  readonly scripting: Scripting
  readonly spawner: SharedSpawner
  readonly place: StatePlace
}

/**
 * A TPM that {@link createTpm} has made. It is there at once for {@link send}; {@link expose} gives it a device or a socket.
 * @example
 * ```js
 * import { createTpm } from 'swtpm'
 *
 * await using tpm = await createTpm()
 * const { text, parameters } = await tpm.send('80010000000c0000017b0008')
 * console.log(text, parameters.randomBytes)
 * ```
 */
export class Tpm implements AsyncDisposable {
  readonly #parts: Parts
  readonly #log: ExchangeLog
  readonly #closing = new AbortController()
  #device: ControlledDevice | undefined
  /** It is about to have a device. */
  #exposing = false
  #ended: Promise<void> | undefined

  /** @internal */
  constructor(parts: Parts) {
    this.#parts = parts
    // As many commands as there are at a time listen to it.
    setMaxListeners(0, this.#closing.signal)
    this.#log = new ExchangeLog(parts.scripting.responders)
  }

  /** `'2'` or `'1.2'`. */
  get version(): '2' | '1.2' {
    return this.#parts.config.tpmVersion
  }

  /**
   * Puts a responder on top of the others. It sees the exchanges that `when` means, before the TPM does.
   * @returns what takes it away again: `using responder = tpm.on(…)`, or `[Symbol.dispose]()`
   * @throws Error: `when` is wrong; it says where
   * @example
   * ```js
   * import { createTpm } from 'swtpm'
   * import { rc } from 'swtpm/faults'
   *
   * await using tpm = await createTpm()
   * tpm.on('GetRandom#1-2', rc('RETRY'))
   * tpm.on('PCR_Read', async (exchange, next) => {
   *   const response = await next()
   *   console.log(exchange.name, response.text)
   *   return response
   * })
   * await tpm.send('80010000000c0000017b0008')
   * ```
   */
  on(when: When, responder: Responder): Disposable {
    if (typeof when !== 'string' && typeof when !== 'function')
      throw wrongArgument('when', when, 'a string, such as "GetRandom#1", or a function')
    if (typeof responder !== 'function')
      throw wrongArgument('responder', responder, "a function, or an effect of 'swtpm/faults'")
    return this.#parts.scripting.responders.on(when, responder)
  }

  /**
   * The same in the words of `--fault`.
   * @throws Error: the rule is wrong; it says where, and what is allowed
   * @example
   * ```js
   * import { createTpm } from 'swtpm'
   *
   * await using tpm = await createTpm()
   * using busy = tpm.fault('GetRandom: rc=RETRY')
   * await tpm.send('80010000000c0000017b0008')
   * console.log(busy.struck) // 1
   * ```
   */
  fault(rule: string): Fault {
    return new NamedFault(this.#parts.scripting.faults.add(rule))
  }

  /**
   * Sends the TPM a command as a client would, by way of its responders, without any device.
   * @param command bytes, or hexadecimal digits
   * @throws Error where there is no response: it was lost, the connection was hung up, the signal was aborted
   * @example
   * ```js
   * import { createTpm, RC } from 'swtpm'
   *
   * await using tpm = await createTpm({ startup: 'none' })
   * const { code } = await tpm.send('80010000000c0000017b0008')
   * console.log(code === RC.INITIALIZE) // true
   * ```
   */
  send(
    command: Buffer | string,
    options: { readonly locality?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Response> {
    const { scripting, session } = this.#parts
    const to = { responders: scripting.responders, engine: session.tpm.engine, traces: session.traces }
    return sendInProcess(to, command, {
      locality: options.locality ?? DEFAULT_LOCALITY,
      signal: options.signal,
      closing: this.#closing.signal,
    })
  }

  /**
   * Gives the TPM a device or a socket. It has one at a time.
   * @returns when clients can use it
   * @throws Error: it cannot be made, or the TPM has one
   * @example
   * ```js
   * import { createTpm, unixSocket } from 'swtpm'
   *
   * await using tpm = await createTpm()
   * await using device = await tpm.expose(unixSocket())
   * console.log(device.tcti) // swtpm:path=…
   * ```
   */
  async expose(where: Exposure): Promise<Device> {
    if (typeof where?.expose !== 'function')
      throw wrongArgument('place of a TPM', where, 'unixSocket(), tcpSocket(), vtpmProxy() or cuse()')
    this.#closing.signal.throwIfAborted()
    if (this.#exposing) throw new SwtpmError('SWTPM_ERR_DEVICE', 'The TPM is about to have a device already')
    if (this.#device !== undefined)
      throw new SwtpmError(
        'SWTPM_ERR_DEVICE',
        `The TPM has a device: "${this.#device.path}"; unplug that first`,
      )
    this.#exposing = true
    try {
      await this.#parts.scripting.settled
      let gone = false
      const device = await where.expose(this.#parts.session, this.#parts.config, () => {
        gone = true
        this.#device = undefined
      })
      // It goes at once where the TPM was closed meanwhile.
      this.#closing.signal.throwIfAborted()
      if (!gone) this.#device = device
      return device
    } catch (error) {
      this.#closing.signal.throwIfAborted()
      throw error
    } finally {
      this.#exposing = false
    }
  }

  /**
   * The next exchange that matches, from now on.
   * @throws Error after `timeoutMs`, 10 s without it, naming what came instead
   * @example
   * ```js
   * import { createTpm } from 'swtpm'
   *
   * await using tpm = await createTpm()
   * const seen = tpm.next('GetRandom')
   * await tpm.send('80010000000c0000017b0008')
   * console.log((await seen).parameters.bytesRequested) // 8
   * ```
   */
  next(
    when: When,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<Exchange> {
    return this.#log.next(when, timeoutMs)
  }

  /** The last 10,000 exchanges, oldest first. */
  get log(): readonly Exchange[] {
    return this.#log.exchanges
  }

  /**
   * How many exchanges of the {@link log} match.
   * @example
   * ```js
   * import { createTpm } from 'swtpm'
   *
   * await using tpm = await createTpm()
   * await tpm.send('80010000000c0000017b0008')
   * console.log(tpm.count('GetRandom')) // 1
   * ```
   */
  count(when: When): number {
    return this.#log.count(when)
  }

  /**
   * The handles that a TPM 2.0 has of a kind, asked past the responders.
   * @example
   * ```js
   * import { createTpm } from 'swtpm'
   *
   * await using tpm = await createTpm()
   * console.log(await tpm.handles('transient')) // []
   * ```
   */
  async handles(kind: HandleKind): Promise<number[]> {
    const { response } = await this.#parts.session.tpm.engine.process(getHandles(kind))
    return handlesIn(response)
  }

  /**
   * Powers the TPM off.
   * @param how `'orderly'`: TPM2_Shutdown is sent if the user has sent none; `'cut'`: as when the supply fails
   * @example
   * ```js
   * import { createTpm } from 'swtpm'
   *
   * await using tpm = await createTpm()
   * await tpm.powerOff('cut')
   * await tpm.powerOn('clear')
   * ```
   */
  async powerOff(how: 'orderly' | 'cut' = 'orderly'): Promise<void> {
    requireOneOf('kind of powerOff()', how, ['orderly', 'cut'])
    const { tpm } = this.#parts.session
    if (how === 'cut') await tpm.cutPower()
    else await tpm.stop()
  }

  /** Powers the TPM on, and sends Startup unless that is `'none'`. @throws SwtpmError SWTPM_ERR_TPM_INIT */
  async powerOn(startup: Startup = 'clear'): Promise<void> {
    requireOneOf('startup', startup, STARTUPS)
    const { tpm } = this.#parts.session
    if (startup === 'none') await tpm.powerOn(0)
    else await tpm.powerOnAndStartup(startup)
  }

  /** Power fails and comes back behind the operating system's back: the TPM waits for Startup. */
  reset(): Promise<void> {
    return this.#parts.session.tpm.reset()
  }

  /**
   * All of the TPM's state, as it is now: to go back to it.
   * @example
   * ```js
   * import { createTpm } from 'swtpm'
   *
   * await using tpm = await createTpm()
   * const before = await tpm.snapshot()
   * await tpm.send('8002000000410000018200000000000000090000010000000000000000010bffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff')
   * await tpm.restore(before)
   * ```
   */
  snapshot(): Promise<Snapshot> {
    return saveBlobs(this.#parts.session.tpm)
  }

  /** Goes back to a {@link snapshot} of this TPM, or of another one of the same version. */
  restore(snapshot: Snapshot): Promise<void> {
    return restoreBlobs(this.#parts.session.tpm, snapshot)
  }

  /**
   * Ends it: device, engine and, where it is in memory, state are gone. `await using` calls it, which Node itself has from version 24
   * on, and TypeScript and bundlers make for earlier ones.
   */
  close(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end(): Promise<void> {
    const { session, spawner, place, scripting } = this.#parts
    const closed = new SwtpmError('SWTPM_ERR_ENDED', 'The TPM was closed')
    this.#closing.abort(closed)
    this.#log.close(closed)
    await session.end(0)
    // Something else may have ended it.
    await session.ended
    await spawner.release()
    await place.release()
    // Says so to whoever waits for one to strike.
    scripting.faults.clear()
  }
}

class NamedFault implements Fault {
  readonly #fault: ActiveFault

  constructor(fault: ActiveFault) {
    this.#fault = fault
  }

  get text(): string {
    return this.#fault.text
  }

  get struck(): number {
    return this.#fault.struck
  }

  async next({ timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {}): Promise<Exchange> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`The fault "${this.text}" did not strike within ${timeoutMs} ms`)),
        timeoutMs,
      )
    })
    try {
      return await Promise.race([this.#fault.next(), late])
    } finally {
      clearTimeout(timer)
    }
  }

  [Symbol.dispose](): void {
    this.#fault[Symbol.dispose]()
  }
}
