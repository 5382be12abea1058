/** A bound for what others can have written to the log. */

export interface Rate {
  /** So many at once. */
  readonly burst: number
  readonly perSecond: number
}

export class RateLimit {
  readonly #rate: Rate
  readonly #now: () => number
  #left: number
  #last: number
  #suppressed = 0

  /** @param now in ms. That of the process is had without loading node:perf_hooks. */
  constructor(rate: Rate, now: () => number = () => process.uptime() * 1000) {
    this.#rate = rate
    this.#now = now
    this.#left = rate.burst
    this.#last = now()
  }

  /** @returns how many were suppressed before this one, or undefined where this one is to be, too */
  take(): number | undefined {
    const now = this.#now()
    this.#left = Math.min(this.#rate.burst, this.#left + ((now - this.#last) / 1000) * this.#rate.perSecond)
    this.#last = now
    if (this.#left < 1) {
      this.#suppressed++
      return undefined
    }
    this.#left--
    const suppressed = this.#suppressed
    this.#suppressed = 0
    return suppressed
  }
}
