/** How often engines of one TPM have died. */

const MINUTE_MS = 60_000

export class Deaths {
  /** A TPM that outlives so many engines within a minute has a fault that the next engine will not cure. */
  static readonly most = 8
  #times: readonly number[]

  /** @param times of an earlier supervisor of this TPM, as {@link times} */
  constructor(times: readonly number[] = []) {
    this.#times = times
  }

  /** When engines have died, in ms since 1970. */
  get times(): readonly number[] {
    return this.#times
  }

  /** Counts one that has died now. */
  oneMoreIsTooMany(): boolean {
    const now = Date.now()
    this.#times = [...this.#times.filter((time) => now - time < MINUTE_MS), now]
    return this.#times.length > Deaths.most
  }
}
