/** Commands that a client of the script socket has taken: they wait until it has said what becomes of them. */
import type { Effect } from '../../../responders/effects/effect.ts'
import { strike } from '../../../responders/effects/effect.ts'
import type { Exchange } from '../../../responders/exchange.ts'
import type { Next } from '../../../responders/responder.ts'
import { Response } from '../../../responders/response.ts'
import { Aborted } from '../../../responders/time.ts'

type Answer = Response | undefined

interface Taken {
  readonly exchange: Exchange
  readonly next: Next
  /** What the TPM has answered to bytes that the client wanted executed. */
  executed: Response | undefined
  resolve(answer: Answer | Promise<Answer>): void
}

export class TakenCommands {
  /** By number: a client may take a command again that it has passed on. What it says is about the last one. */
  readonly #taken = new Map<number, Taken[]>()

  /**
   * Has a command wait.
   * @param removed nothing will be said of it any more: it passes
   * @returns what becomes of it; undefined: it passes
   * @throws Aborted
   */
  async hold(exchange: Exchange, next: Next, removed: AbortSignal): Promise<Answer> {
    const { signal, number } = exchange
    let taken!: Taken
    let abort!: () => void
    let pass!: () => void
    try {
      return await new Promise<Answer>((resolve, reject) => {
        taken = { exchange, next, executed: undefined, resolve }
        this.#taken.set(number, [...(this.#taken.get(number) ?? []), taken])
        abort = () => reject(new Aborted(signal))
        pass = () => resolve(taken.executed)
        if (removed.aborted) pass()
        if (signal.aborted) abort()
        signal.addEventListener('abort', abort)
        removed.addEventListener('abort', pass)
      })
    } finally {
      this.#drop(number, taken)
      signal.removeEventListener('abort', abort)
      removed.removeEventListener('abort', pass)
    }
  }

  /** The client's client is given these bytes. @throws Error: no such command waits */
  respond(n: number, bytes: Buffer): void {
    const { exchange, resolve } = this.#take(n)
    resolve(new Response(exchange, bytes))
  }

  /** It passes, or is given what the TPM has answered to other bytes. @throws Error: no such command waits */
  pass(n: number): void {
    const { executed, resolve } = this.#take(n)
    resolve(executed)
  }

  /** @throws Error: no such command waits */
  strike(n: number, effects: readonly Effect[]): void {
    const { exchange, next, executed, resolve } = this.#take(n)
    const below: Next = executed === undefined ? next : () => Promise.resolve(executed)
    resolve(strike(effects, exchange, below))
  }

  /** Has the TPM execute other bytes. The command still waits. @throws Error: no such command waits */
  async execute(n: number, bytes: Buffer): Promise<Response> {
    const taken = this.#find(n)
    taken.executed = await taken.next(bytes)
    return taken.executed
  }

  #find(n: number): Taken {
    const taken = this.#taken.get(n)?.at(-1)
    if (taken === undefined) throw new Error(`no command ${n} waits for you`)
    return taken
  }

  #take(n: number): Taken {
    const taken = this.#find(n)
    this.#drop(n, taken)
    return taken
  }

  #drop(n: number, taken: Taken): void {
    const others = this.#taken.get(n)?.filter((other) => other !== taken) ?? []
    if (others.length > 0) this.#taken.set(n, others)
    else this.#taken.delete(n)
  }
}
