/** Reads a rule from left to right, and knows where it is. */
import { RuleError } from './rule-error.ts'

export interface Word {
  readonly text: string
  /** Its offset in the rule. */
  readonly at: number
}

export class Scanner {
  readonly rule: string
  #at: number
  readonly #end: number

  constructor(rule: string, at = 0, end = rule.length) {
    this.rule = rule
    this.#at = at
    this.#end = end
  }

  get at(): number {
    return this.#at
  }

  get atEnd(): boolean {
    return this.#at >= this.#end
  }

  skipBlanks(): void {
    while (!this.atEnd && /\s/.test(this.rule[this.#at] as string)) this.#at++
  }

  /** Takes one of these characters, if it is next. */
  take(characters: string): string | undefined {
    const next = this.atEnd ? undefined : this.rule[this.#at]
    if (next === undefined || !characters.includes(next)) return undefined
    this.#at++
    return next
  }

  /** Everything up to one of these characters, or the end, without blanks around it. */
  until(characters: string): Word {
    this.skipBlanks()
    const at = this.#at
    while (!this.atEnd && !characters.includes(this.rule[this.#at] as string)) this.#at++
    return { text: this.rule.slice(at, this.#at).trimEnd(), at }
  }

  fail({ text, at }: Word, reason: string): never {
    throw new RuleError(this.rule, at, text.length, reason)
  }

  /** At the place that is to be read next. */
  failHere(reason: string): never {
    throw new RuleError(this.rule, this.#at, 1, reason)
  }
}
