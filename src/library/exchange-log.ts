/** The exchanges of a TPM: what has been, and what is waited for. */
import type { Exchange } from '../responders/exchange.ts'
import type { ResponderStack } from '../responders/stack.ts'
import type { When } from '../responders/when/when.ts'

const MOST = 10_000
/** Named in the message of a time-out. */
const NAMED = 10

interface Waiting {
  matches(exchange: Exchange): boolean
  resolve(exchange: Exchange): void
  reject(error: unknown): void
}

export class ExchangeLog {
  readonly #stack: ResponderStack
  readonly #waiting = new Set<Waiting>()
  #exchanges: Exchange[] = []
  #closed: Error | undefined

  constructor(stack: ResponderStack) {
    this.#stack = stack
    stack.watch((exchange) => this.#note(exchange))
  }

  get exchanges(): readonly Exchange[] {
    return this.#exchanges.slice(-MOST)
  }

  count(when: When): number {
    const matcher = this.#stack.matcher(when)
    return this.exchanges.filter((exchange) => matcher.isMeant(exchange)).length
  }

  /** Nothing comes any more. */
  close(reason: Error): void {
    this.#closed = reason
    for (const waiting of this.#waiting) waiting.reject(reason)
  }

  async next(when: When, timeoutMs: number): Promise<Exchange> {
    if (this.#closed !== undefined) throw this.#closed
    const matcher = this.#stack.matcher(when)
    const seen = this.#exchanges.length
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(waiting)
      }
      const waiting: Waiting = {
        matches: (exchange) => matcher.isMeant(exchange),
        resolve: (exchange) => {
          done()
          resolve(exchange)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      const timer = setTimeout(() => {
        const came = this.#exchanges
          .slice(seen)
          .slice(-NAMED)
          .map(({ title }) => title)
          .join(', ')
        const what = typeof when === 'string' ? `"${when}"` : 'exchange that matches'
        waiting.reject(
          new Error(
            `No ${what} within ${timeoutMs} ms; ${came === '' ? 'nothing came' : `there came ${came}`}`,
          ),
        )
      }, timeoutMs)
      this.#waiting.add(waiting)
    })
  }

  #note(exchange: Exchange): void {
    // In bunches: to cut off one each time would move all of them.
    if (this.#exchanges.length >= 2 * MOST) this.#exchanges = this.#exchanges.slice(-MOST)
    this.#exchanges.push(exchange)
    for (const waiting of this.#waiting) {
      try {
        if (waiting.matches(exchange)) waiting.resolve(exchange)
      } catch (error) {
        // The function that says which is wrong.
        waiting.reject(error)
      }
    }
  }
}
