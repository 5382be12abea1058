/** Faults: responders made of words, with numbers and a count of what they have struck. */
import { log } from '../system/log.ts'
import { type Effect, strike } from './effects/effect.ts'
import type { Exchange } from './exchange.ts'
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
  /** The next exchange that it strikes. */
  next(): Promise<Exchange>
}

/** More rules than anybody writes; each costs time for every command. */
const MAX_FAULTS = 1000

export class FaultList {
  readonly #stack: ResponderStack
  readonly #faults = new Map<number, ActiveFault>()
  #number = 0

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
    const entry = this.#stack.on(
      rule.when,
      (exchange, next) => {
        fault.strikes(exchange)
        return strike(rule.effects, exchange, next)
      },
      fault.toString(),
    )
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

class ActiveFault implements Fault {
  readonly number: number
  readonly text: string
  readonly label: string | undefined
  struck = 0
  readonly #remove: () => void
  #waiting: ((exchange: Exchange) => void)[] = []

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
    log.info(`${this} struck ${exchange}`)
    for (const resolve of this.#waiting.splice(0)) resolve(exchange)
  }

  next(): Promise<Exchange> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  [Symbol.dispose](): void {
    this.#remove()
  }

  toString(): string {
    return `fault ${this.number} "${this.text}"`
  }
}
