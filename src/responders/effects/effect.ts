/**
 * A fault in one word: `delay=900ms`, `rc=RETRY`. Several strike one after the other, from left to right; what is left of the way
 * to the TPM is gone when one needs the response, or at the end.
 */
import type { Alteration } from '../alteration.ts'
import type { Exchange, Gone } from '../exchange.ts'
import type { NamedResponder, Next, Responder } from '../responder.ts'
import { type Delivery, Response } from '../response.ts'
import { wait } from '../time.ts'

/** A command that effects strike. */
export class Strike {
  readonly exchange: Exchange
  readonly #next: Next
  readonly #removed: AbortSignal | undefined
  #command: Buffer
  #answer: Response | undefined

  constructor(exchange: Exchange, next: Next, removed: AbortSignal | undefined) {
    this.exchange = exchange
    this.#next = next
    this.#removed = removed
    this.#command = exchange.bytes
  }

  /** What the client is to get, as far as that is known. */
  get answer(): Response | undefined {
    return this.#answer
  }

  set answer(answer: Response) {
    this.#answer = answer
  }

  /** The response: that of an effect to the left or, asked for now, that of those below. */
  async response(): Promise<Response> {
    this.#answer ??= await this.#next(this.#command === this.exchange.bytes ? undefined : this.#command)
    return this.#answer
  }

  /** Waits so long, or for ever, but no longer than the effect is there. @throws Aborted */
  async wait(ms: number | undefined): Promise<void> {
    const { signal } = this.exchange
    try {
      await wait(this.exchange, ms, this.#removed)
    } catch (error) {
      // What has been executed cannot be cancelled any more: its response is given at once.
      if (this.#answer === undefined || (signal.reason as Gone) !== 'cancelled') throw error
    }
  }

  /** Nothing is given to the client, in this way. */
  none(delivery: Delivery): void {
    this.#answer = Response.none(this.exchange, delivery)
  }

  /** Changes what those below are asked. */
  alterCommand(...alterations: readonly Alteration[]): void {
    this.#command = this.exchange.withBytes(this.#command).with(...alterations)
  }
}

/** Its text is what `--fault` has: `rc=RETRY`. */
export interface Effect extends NamedResponder {
  readonly act: (strike: Strike) => void | Promise<void>
}

/** An effect that changes bytes and nothing else, of a response or of a command. */
export type AlteringEffect = Effect & Alteration

export function effect(text: string, act: Effect['act']): Effect {
  const responder: Responder = (exchange, next, removed) => strike([made], exchange, next, removed)
  const made: Effect = Object.assign(responder, { text, act })
  return made
}

/** An effect that alters the response. */
export function alteringEffect(text: string, alter: Alteration['alter']): AlteringEffect {
  const made: Effect = effect(text, async (strike) => {
    strike.answer = (await strike.response()).with({ alter })
  })
  return Object.assign(made, { alter })
}

/** Has the effects strike, from left to right. @returns what the client is to get */
export async function strike(
  effects: readonly Effect[],
  exchange: Exchange,
  next: Next,
  removed?: AbortSignal,
): Promise<Response> {
  const struck = new Strike(exchange, next, removed)
  for (const { act } of effects) await act(struck)
  return struck.response()
}
