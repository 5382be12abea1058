/**
 * A TPM's responders. The newest sees a command first; `next()` asks those below, and at the bottom the TPM. With none there, and
 * nobody who watches, no command comes here: the TPM is then served as if there were no scripts.
 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { TPM_FAIL, TPM_RC_CANCELED, TPM_RC_FAILURE } from '../../contract/tpm-result.ts'
import { whereOf } from '../system/fault.ts'
import { log } from '../system/log.ts'
import { TPM_CC } from '../tpm-structures/command-codes.ts'
import { Exchange, type Gone, type Incoming } from './exchange.ts'
import { type Random, seededRandom } from './random.ts'
import type { NamedResponder, Next, Responder } from './responder.ts'
import { Response } from './response.ts'
import { requireBounded, settle } from './settle.ts'
import type { TpmControl } from './tpm-control.ts'
import { Matcher } from './when/when.ts'

/** Asks the TPM. @returns its response */
export type Bottom = (command: Buffer) => Promise<Buffer>

/** Is told of every exchange, at its beginning; its `response` says how it ended. */
export type Watcher = (exchange: Exchange) => void

interface Entry {
  readonly matcher: Matcher
  readonly responder: Responder
  readonly removed: AbortController
  /** For messages. */
  readonly name: string
}

/** A responder that is to be asked, and where it is among the others. */
type Meant = Entry & { readonly index: number }

export interface StackOptions {
  readonly version: TpmVersion
  readonly tpm: TpmControl
  /** Of what goes by chance. */
  readonly seed: number
}

export class ResponderStack {
  readonly #options: StackOptions
  /** Oldest first. */
  #entries: readonly Entry[] = []
  readonly #watchers = new Set<Watcher>()
  readonly #counts = new Map<number | undefined, number>()
  readonly #beganMs = performance.now()
  #number = 0
  /** Exchanges that are under way. */
  #running = 0
  /** Random streams given out. */
  #streams = 0
  #previousResponse = Buffer.alloc(0)
  #onActive: (active: boolean) => void = () => {}
  /** Commands that the kernel sends by itself while it registers a device come from its driver. */
  registering = false

  constructor(options: StackOptions) {
    this.#options = options
  }

  /** Whether commands have to come here at all; what is under way is decided here to its end. */
  get active(): boolean {
    return this.#entries.length > 0 || this.#watchers.size > 0 || this.#running > 0
  }

  /** Called whenever {@link active} changes. */
  set onActive(changed: (active: boolean) => void) {
    this.#onActive = changed
  }

  /** Random numbers of their own for somebody, the same for the same seed. */
  random(): Random {
    return seededRandom(this.#options.seed, this.#streams++)
  }

  /**
   * Puts a responder on top of the others.
   * @param name for messages
   * @returns takes it away again
   * @throws RuleError: `when` is wrong
   */
  on(when: ConstructorParameters<typeof Matcher>[0], responder: Responder, name = nameOf(when)): Disposable {
    const entry: Entry = { matcher: this.matcher(when), responder, removed: new AbortController(), name }
    this.#change(() => {
      this.#entries = [...this.#entries, entry]
    })
    return {
      [Symbol.dispose]: () => {
        this.#change(() => {
          this.#entries = this.#entries.filter((other) => other !== entry)
        })
        entry.removed.abort()
      },
    }
  }

  /** Counts from now on. @throws RuleError */
  matcher(when: ConstructorParameters<typeof Matcher>[0]): Matcher {
    const since = performance.now()
    return new Matcher(when, this.random(), () => performance.now() - since)
  }

  /** Has every exchange told to `watcher`. @returns ends that */
  watch(watcher: Watcher): Disposable {
    this.#change(() => this.#watchers.add(watcher))
    return { [Symbol.dispose]: () => this.#change(() => this.#watchers.delete(watcher)) }
  }

  #change(change: () => void): void {
    const before = this.active
    change()
    if (this.active !== before) this.#onActive(this.active)
  }

  /**
   * What becomes of a command.
   * @param deliver gives it to the client
   * @returns `'pass'`: the TPM is to execute it as if nobody had looked
   */
  async handle(
    incoming: Incoming,
    bottom: Bottom,
    deliver: (response: Response | 'pass') => Promise<unknown> = async () => {},
  ): Promise<Response | 'pass'> {
    let delivered!: () => void
    const exchange = { incoming, delivered: new Promise<void>((resolve) => (delivered = resolve)) }
    this.#change(() => this.#running++)
    try {
      const response = await this.#decide(exchange, bottom)
      await deliver(response)
      return response
    } finally {
      delivered()
      this.#change(() => this.#running--)
    }
  }

  async #decide(
    { incoming, delivered }: { incoming: Incoming; delivered: Promise<void> },
    bottom: Bottom,
  ): Promise<Response | 'pass'> {
    let answered!: (response: Response) => void
    const exchange = this.#begin(incoming, new Promise((resolve) => (answered = resolve)), delivered)
    for (const watcher of this.#watchers) watcher(exchange)
    const entries = this.#entries
    const first = this.#below(entries.length, entries, exchange)
    if (
      first === undefined &&
      this.#watchers.size === 0 &&
      !entries.some(({ responder }) => needsPrevious(responder))
    )
      return 'pass'
    let response = Response.none(exchange, { how: 'silence' })
    let asked = false
    const outcome = this.#run(first, entries, exchange, (command) => {
      asked = true
      return bottom(command)
    })
    try {
      response = await Promise.race([outcome, this.#withoutAnswer(exchange, outcome, () => asked)])
    } finally {
      this.#previousResponse = Buffer.from(response.bytes)
      answered(response)
    }
    return response
  }

  #begin(incoming: Incoming, response: Promise<Response>, delivered: Promise<void>): Exchange {
    const { version, tpm } = this.#options
    const code = incoming.bytes.length < 10 ? undefined : incoming.bytes.readUInt32BE(6)
    const nth = (this.#counts.get(code) ?? 0) + 1
    if (this.#counts.size < MAX_COUNTED_CODES || this.#counts.has(code)) this.#counts.set(code, nth)
    return new Exchange({
      ...incoming,
      received: incoming.bytes,
      faults: [],
      from: this.registering || code === SET_LOCALITY ? 'driver' : incoming.from,
      version,
      tpm,
      response,
      delivered,
      number: ++this.#number,
      nth,
      atMs: performance.now() - this.#beganMs,
      previousResponse: this.#previousResponse,
    })
  }

  /** The next responder below that is meant by this exchange; undefined: the TPM. */
  #below(from: number, entries: readonly Entry[], exchange: Exchange): Meant | undefined {
    for (let index = from - 1; index >= 0; index--) {
      const entry = entries[index] as Entry
      // One that was taken away meanwhile is not asked any more.
      if (!this.#entries.includes(entry)) continue
      try {
        if (entry.matcher.isMeant(exchange)) return { ...entry, index }
      } catch (error) {
        // Its function for when is wrong, which is a mistake like one in the responder.
        return { ...entry, index, responder: () => Promise.reject(error) }
      }
    }
    return undefined
  }

  async #run(
    meant: Meant | undefined,
    entries: readonly Entry[],
    exchange: Exchange,
    bottom: Bottom,
  ): Promise<Response> {
    if (meant === undefined) return new Response(exchange, await bottom(exchange.bytes))
    const { index, responder, removed } = meant
    const ask = async (command = exchange.bytes): Promise<Response> => {
      requireBounded(command, 'a command')
      const passed = exchange.withBytes(command)
      return this.#run(this.#below(index, entries, passed), entries, passed, bottom)
    }
    const next: Next = (command) => {
      const response = ask(command)
      // A responder that does not wait for it is not to end the program when there is none.
      response.catch(() => {})
      return response
    }
    try {
      const response = await settle(responder, exchange, next, removed.signal)
      requireBounded(response.bytes, 'a response')
      return response
    } catch (error) {
      return this.#failed(error, exchange, meant)
    }
  }

  /** A responder that goes on although nobody waits any more is not waited for. @param asked whether the TPM has been */
  #withoutAnswer(exchange: Exchange, outcome: Promise<unknown>, asked: () => boolean): Promise<Response> {
    const { signal } = exchange
    return new Promise((resolve) => {
      const abort = (): void => {
        const end = (): void => resolve(this.#unanswered(exchange))
        if ((signal.reason as Gone) !== 'cancelled') end()
        // What the TPM has executed has happened: then its response counts.
        else setTimeout(() => asked() || end(), CANCEL_GRACE_MS)
      }
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      // The signal may be that of many commands.
      const done = (): void => signal.removeEventListener('abort', abort)
      outcome.then(done, done)
    })
  }

  /** What is given for a command that was cancelled, or that nobody waits for any more. */
  #unanswered(exchange: Exchange): Response {
    const { version } = this.#options
    return (exchange.signal.reason as Gone) === 'cancelled'
      ? Response.ofCode(exchange, version === '2' ? TPM_RC_CANCELED : TPM_FAIL)
      : Response.none(exchange, { how: 'silence' })
  }

  /** A responder has thrown: because nobody waits any more, which is no fault of its, or because it is wrong. */
  #failed(error: unknown, exchange: Exchange, { name, responder }: Meant): Response {
    const { version } = this.#options
    if (exchange.signal.aborted) return this.#unanswered(exchange)
    // What is made of words has no place in a file of its author's.
    const why = 'text' in responder && error instanceof RangeError ? error.message : whereOf(error)
    log.error(`A responder (${name}) failed over ${exchange.title}, which is answered FAILURE: ${why}`)
    return Response.ofCode(exchange, version === '2' ? TPM_RC_FAILURE : TPM_FAIL)
  }
}

/** What the kernel's proxy driver sends by itself, of either version. */
const SET_LOCALITY = TPM_CC.SetLocality
/** A hostile client makes up command codes. */
const MAX_COUNTED_CODES = 1000

/** For a responder to say itself what a client is told whose command was cancelled. */
const CANCEL_GRACE_MS = 100

/** What passes is not seen. */
const needsPrevious = (responder: Responder): boolean =>
  !('text' in responder) || (responder as NamedResponder).needsPrevious === true

const nameOf = (when: unknown): string => (typeof when === 'string' ? when : 'with a function for when')
