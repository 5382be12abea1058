/**
 * The states of a TPM's succession of engines, and what leads from one to the next.
 *
 *     notStarted ──▶ starting ──▶ serving ◀──▶ takingOver
 *                                   ▲ │            ▲
 *                                   │ └─────▶ handingOver
 *                                   └──────────────┘
 *
 * Every state but `ended` can be left for `closing`, and every one ends in `ended`.
 */

export type SuccessionState = keyof typeof TRANSITIONS

/** What happens to a succession. */
export type Occurrence =
  /** The first engine is started. */
  | 'start'
  /** The first engine has said READY. */
  | 'ready'
  /** The engine that serves, or both that the TPM was passed between, have ended, and another one can continue. */
  | 'died'
  /** The engine that serves is to be replaced by another one, which is ready. */
  | 'handOver'
  /** An engine serves: another one, or that which was to be replaced. */
  | 'continued'
  /** No engine serves, and none will. */
  | 'failed'
  /** The supervisor ends all engines. */
  | 'close'
  /** All engines were told to end, and have. */
  | 'closed'

export const TRANSITIONS = {
  /** Nobody has needed an engine. */
  notStarted: { start: 'starting', close: 'closing' },
  /** The first engine is not ready yet. Requests are sent to it; it reads them when it is. */
  starting: { ready: 'serving', failed: 'ended', close: 'closing' },
  /** One engine serves. */
  serving: { died: 'takingOver', handOver: 'handingOver', failed: 'ended', close: 'closing' },
  /** No engine serves: a new one is started and continues with the TPM. Requests wait. */
  takingOver: { continued: 'serving', failed: 'ended', close: 'closing' },
  /** Two engines are alive, and the TPM goes from one to the other. Requests wait. */
  handingOver: { continued: 'serving', died: 'takingOver', failed: 'ended', close: 'closing' },
  /** The engines are ending. Requests are sent to them and fail when they have ended. */
  closing: { closed: 'ended' },
  /** There is no engine, and there will be none. Requests fail. */
  ended: {},
} as const satisfies Record<string, { readonly [on in Occurrence]?: string }>

export class SuccessionStateMachine {
  #state: SuccessionState
  #changed!: Promise<void>
  #announce!: () => void

  constructor(first: SuccessionState = 'notStarted') {
    this.#state = first
    this.#renew()
  }

  get now(): SuccessionState {
    return this.#state
  }

  is(...states: readonly SuccessionState[]): boolean {
    return states.includes(this.#state)
  }

  /** @throws RangeError when the table has no such transition */
  apply(occurrence: Occurrence): void {
    const row: { readonly [on in Occurrence]?: SuccessionState } = TRANSITIONS[this.#state]
    const next = row[occurrence]
    if (next === undefined) throw new RangeError(`'${occurrence}' in state '${this.#state}'`)
    this.#state = next
    this.announce()
  }

  /** Has every {@link until} look again: something beside the state has changed. */
  announce(): void {
    this.#announce()
    this.#renew()
  }

  /** Waits until `condition` holds; those who wait continue in the order in which they came. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed
  }

  #renew(): void {
    this.#changed = new Promise((resolve) => {
      this.#announce = resolve
    })
  }
}
