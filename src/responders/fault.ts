/** Faults: responders made of words, with numbers and a count of what they have struck. */
import { log } from '../system/log.ts'
import { type Effect, strike } from './effects/effect.ts'
import type { Exchange } from './exchange.ts'
import type { Responder } from './responder.ts'
import { parseRule } from './rules/rule.ts'
import type { ResponderStack } from './stack.ts'

/** One that is at work. */
export interface Fault extends Disposable {
  /** From 1, in the order of adding; never given twice. */
  readonly number: number
  readonly label: string | undefined
  /** The rule as it was given. */
  readonly text: string
  /** How many commands it has struck. */
  readonly struck: number
  /** The command that it has struck last. */
  readonly last: Exchange | undefined
  /**
   * The next exchange that it strikes.
   * @throws Error: it was removed; the reason of `signal`
   */
  next(signal?: AbortSignal): Promise<Exchange>
}

/** More rules than anybody writes; each costs time for every command. */
const MAX_FAULTS = 1000

export class FaultList {
  readonly #stack: ResponderStack
  readonly #faults = new Map<number, ActiveFault>()
  #number = 0
  /** Told of each strike, when it happens. */
  onStrike: (exchange: Exchange, fault: string) => void = () => {}

  constructor(stack: ResponderStack) {
    this.#stack = stack
  }

  /** On top of the responders that are there. @throws RuleError; RangeError: there are too many */
  add(text: string): Fault {
    if (this.#faults.size >= MAX_FAULTS) throw new RangeError(`there are ${MAX_FAULTS} faults already`)
    const random = this.#stack.random()
    const rule = parseRule(text, random)
    const number = ++this.#number
    const fault = new ActiveFault(number, rule, () => {
      this.#faults.delete(number)
      entry[Symbol.dispose]()
    })
    const responder: Responder = (exchange, next, removed) => {
      fault.strikes(exchange)
      this.onStrike(exchange, `${fault}`)
      return strike(rule.effects, exchange, next, removed)
    }
    const needsPrevious = rule.effects.some((effect) => effect.needsPrevious)
    const entry = this.#stack.on(rule.when, Object.assign(responder, { text, needsPrevious }), `${fault}`)
    this.#faults.set(number, fault)
    return fault
  }

  list(): readonly Fault[] {
    return [...this.#faults.values()]
  }

  /** @param which a number or a label */
  find(which: number | string): Fault | undefined {
    return this.list().find(
      ({ number, label }) => number === which || (label !== undefined && label === which),
    )
  }

  clear(): void {
    for (const fault of this.list()) fault[Symbol.dispose]()
  }

  /** At the end: says which rules have struck nothing, as they are likely to be wrong. */
  reportIdle(): void {
    for (const fault of this.list()) if (fault.struck === 0) log.warn(`${fault} never struck`)
  }
}

interface Waiting {
  resolve(exchange: Exchange): void
  reject(error: unknown): void
}

class ActiveFault implements Fault {
  readonly number: number
  readonly text: string
  readonly label: string | undefined
  struck = 0
  last: Exchange | undefined
  readonly #remove: () => void
  readonly #waiting = new Set<Waiting>()

  constructor(
    number: number,
    { text, label }: { text: string; label: string | undefined; effects: readonly Effect[] },
    remove: () => void,
  ) {
    this.number = number
    this.text = text
    this.label = label
    this.#remove = remove
  }

  strikes(exchange: Exchange): void {
    this.struck++
    this.last = exchange
    exchange.struckBy(`${this}`)
    log.info(`${this} struck ${exchange.title}`)
    for (const { resolve } of this.#waiting) resolve(exchange)
  }

  async next(signal?: AbortSignal): Promise<Exchange> {
    signal?.throwIfAborted()
    let give!: () => void
    let waiting!: Waiting
    try {
      return await new Promise<Exchange>((resolve, reject) => {
        waiting = { resolve, reject }
        this.#waiting.add(waiting)
        give = () => reject(signal?.reason)
        signal?.addEventListener('abort', give)
      })
    } finally {
      this.#waiting.delete(waiting)
      signal?.removeEventListener('abort', give)
    }
  }

  [Symbol.dispose](): void {
    this.#remove()
    for (const { reject } of this.#waiting) reject(new Error(`${this} was removed`))
  }

  toString(): string {
    return `fault ${this.number} "${this.text}"`
  }
}
