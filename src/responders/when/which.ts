/** Which of the commands that match: `#3`, `#2-5`, `#40-`, `/3`, `%5`. */
import type { Scanner, Word } from '../rules/scanner.ts'

export type Which =
  | { readonly kind: 'all' }
  /** From the first to the last, counted from 1. */
  | { readonly kind: 'from-to'; readonly first: number; readonly last: number }
  | { readonly kind: 'every'; readonly nth: number }
  | { readonly kind: 'chance'; readonly percent: number }

/** Whether the `count`th command that matches is meant. @param random numbers from 0 to below 1 */
export function isMeant(which: Which, count: number, random: () => number): boolean {
  switch (which.kind) {
    case 'all':
      return true
    case 'from-to':
      return count >= which.first && count <= which.last
    case 'every':
      return count % which.nth === 0
    case 'chance':
      return random() * 100 < which.percent
  }
}

/** Reads what follows the command and its filters. */
export function readWhich(scanner: Scanner): Which {
  scanner.skipBlanks()
  const mark = scanner.take('#/%')
  if (mark === undefined) return { kind: 'all' }
  const word = scanner.until(':,')
  if (mark === '#') return fromTo(scanner, word)
  if (mark === '/') return { kind: 'every', nth: ordinal(scanner, word) }
  const percent = Number(word.text)
  if (!/^\d+(\.\d+)?$/.test(word.text) || percent > 100)
    scanner.fail(word, `"${word.text}" is no percentage from 0 to 100`)
  return { kind: 'chance', percent }
}

function fromTo(scanner: Scanner, word: Word): Which {
  const match = /^(\d+)(?:(-)(\d+)?)?$/.exec(word.text)
  if (match === null)
    scanner.fail(
      word,
      `"${word.text}" is neither a number (#3), from a number to another (#2-5), nor from one on (#40-)`,
    )
  const [, from, dash, to] = match as unknown as [string, string, string?, string?]
  const first = ordinal(scanner, { text: from, at: word.at })
  const last = dash === undefined ? first : to === undefined ? Number.POSITIVE_INFINITY : Number(to)
  if (last < first) scanner.fail(word, `"${word.text}" ends before it begins`)
  return { kind: 'from-to', first, last }
}

function ordinal(scanner: Scanner, { text, at }: Word): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < 1) scanner.fail({ text, at }, `"${text}" is no number from 1`)
  return number
}
