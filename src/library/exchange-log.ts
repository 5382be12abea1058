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
}

export class ExchangeLog {
  readonly #stack: ResponderStack
  readonly #waiting = new Set<Waiting>()
  #exchanges: Exchange[] = []

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

  next(when: When, timeoutMs: number): Promise<Exchange> {
    const matcher = this.#stack.matcher(when)
    const seen = this.#exchanges.length
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        matches: (exchange) => matcher.isMeant(exchange),
        resolve: (exchange) => {
          clearTimeout(timer)
          resolve(exchange)
        },
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting)
        const came = this.#exchanges
          .slice(seen)
          .slice(-NAMED)
          .map(({ title }) => title)
          .join(', ')
        const what = typeof when === 'string' ? `"${when}"` : 'exchange that matches'
        reject(
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
      if (!waiting.matches(exchange)) continue
      this.#waiting.delete(waiting)
      waiting.resolve(exchange)
    }
  }
}
