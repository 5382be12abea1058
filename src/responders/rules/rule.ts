/**
 * A fault as text:
 *
 *     rule   = [ label "=" ] when ":" effect { "," effect }
 *     effect = NAME [ "=" VALUE ]
 *
 * @example `busy=GetRandom#1-2: rc=RETRY`
 */
import { didYouMean } from '../../system/did-you-mean.ts'
import type { Effect } from '../effects/effect.ts'
import type { Random } from '../random.ts'
import { type parseWhen, readWhen } from '../when/when.ts'
import { EFFECTS, type EffectRow } from './effect-table.ts'
import { Scanner } from './scanner.ts'

export interface Rule {
  /** As it was given. */
  readonly text: string
  readonly label: string | undefined
  readonly when: ReturnType<typeof parseWhen>
  readonly effects: readonly Effect[]
}

/** So that a line of the log, and of a script socket, has room for it. */
const MAX_RULE_CHARACTERS = 20_000

/** @param random for its effects @throws RuleError */
export function parseRule(text: string, random: Random): Rule {
  const scanner = new Scanner(text)
  checkLine(scanner)
  const label = readLabel(scanner)
  const when = readWhen(scanner)
  scanner.skipBlanks()
  if (scanner.take(':') === undefined)
    scanner.failHere('":" and an effect are missing, such as GetRandom#1: rc=RETRY')
  return { text, label, when, effects: readEffects(scanner, random) }
}

/** `effect { "," effect }` alone. @throws RuleError */
export function parseEffects(text: string, random: Random): readonly Effect[] {
  const scanner = new Scanner(text)
  checkLine(scanner)
  return readEffects(scanner, random)
}

function checkLine(scanner: Scanner): void {
  if (scanner.rule.length > MAX_RULE_CHARACTERS)
    scanner.failHere(`it is longer than ${MAX_RULE_CHARACTERS} characters`)
  if (/[\n\r]/.test(scanner.rule)) scanner.failHere('a rule is one line')
}

function readEffects(scanner: Scanner, random: Random): readonly Effect[] {
  const effects: Effect[] = []
  do effects.push(readEffect(scanner, random))
  while (scanner.take(',') !== undefined)
  return effects
}

/** A label has "=" behind it before there is any bracket or colon. */
function readLabel(scanner: Scanner): string | undefined {
  const label = /^\s*([A-Za-z][\w-]*)\s*=/.exec(scanner.rule)
  if (label === null) return undefined
  scanner.until('=')
  scanner.take('=')
  return label[1]
}

function readEffect(scanner: Scanner, random: Random): Effect {
  const name = scanner.until('=,')
  const given = scanner.take('=') !== undefined
  const value = given ? scanner.until(',') : { text: '', at: scanner.at }
  if (name.text === '') scanner.fail(name, `an effect is missing; one of ${Object.keys(EFFECTS).join(', ')}`)
  const row: EffectRow | undefined = Object.hasOwn(EFFECTS, name.text)
    ? EFFECTS[name.text as keyof typeof EFFECTS]
    : undefined
  if (row === undefined) {
    const names = Object.keys(EFFECTS)
    const near = didYouMean(name.text, names)
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    scanner.fail(name, `no effect "${name.text}"${hint} Effects are ${names.join(', ')}`)
  }
  if (given && row.value === undefined) scanner.fail(value, `${name.text} takes no value`)
  if (value.text === '' && row.value !== undefined && !(row.optional && !given))
    scanner.fail(given ? value : name, `${name.text} takes a value: ${name.text}=${row.value}`)
  try {
    return row.make(value.text, random)
  } catch (error) {
    if (error instanceof RangeError) scanner.fail(value, error.message)
    throw error
  }
}
