/** A mistake in a rule: the place, the reason and what is allowed. */
export class RuleError extends Error {
  /** Where in the rule it is, from 1. */
  readonly column: number

  /**
   * @param at the offset of the wrong word in `rule`, from 0
   * @param length of that word
   */
  constructor(rule: string, at: number, length: number, reason: string) {
    const marks = `${' '.repeat(at)}${'^'.repeat(Math.max(1, length))}`
    super(`column ${at + 1}: ${reason}\n  ${rule}\n  ${marks}`)
    this.name = 'RuleError'
    this.column = at + 1
  }
}
