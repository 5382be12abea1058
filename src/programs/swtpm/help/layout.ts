/**
 * Lays out the description of one option for the column that yargs gives it.
 *
 * yargs wraps a description but takes the blanks away that start a line, so a list inside one would fall apart. Lines are
 * therefore broken here, and their blanks are no-break spaces until {@link toPlainBlanks} makes them ordinary again.
 */

import type { OptionRow } from '../../../command-line/options/option.ts'
import type { SubOption } from '../../common/options/sub-option.ts'
import { defaultText, labelOf, waysOf } from '../../common/options/synopsis.ts'

const NO_BREAK = '\u00a0'
const SUB_INDENT = 2
const LONG_CHOICE = 40
const LABEL_WIDTH_MAX = 24

/** Undoes what keeps yargs from touching the layout. */
export function toPlainBlanks(text: string): string {
  return text.replaceAll(NO_BREAK, ' ')
}

/**
 * What the text column says of an option, broken to `width`.
 * @param sameAs an option of the same sub-options that the reader has seen already
 */
export function describeOption(row: OptionRow, width: number, sameAs?: string): string {
  const lines = waysOf(row).flatMap((synopsis) => wrapWords(breakable(synopsis), width, 4, ''))
  lines.push(
    ...wrapWords(`${row.describe}${notes(row.defaultDescription, row.since)}`.split(' '), width, 0, ' '),
  )
  if (sameAs !== undefined) lines.push(`${' '.repeat(SUB_INDENT)}Sub-options as for --${sameAs}.`)
  const sub = sameAs === undefined ? Object.entries<SubOption>(row.sub ?? {}) : []
  const labels = sub.map(([name, entry]) => labelOf(name, entry))
  const column =
    SUB_INDENT + Math.min(LABEL_WIDTH_MAX, Math.max(0, ...labels.map((label) => label.length))) + 2
  sub.forEach(([, entry], index) => {
    lines.push(...describeSubOption(labels[index]!, entry, row.since, column, width))
  })
  return lines.map((line) => line.replaceAll(' ', NO_BREAK)).join('\n')
}

function describeSubOption(
  label: string,
  entry: SubOption,
  optionSince: string | undefined,
  column: number,
  width: number,
): string[] {
  const indent = ' '.repeat(SUB_INDENT)
  const text = wrapWords(
    `${entry.describe}${notes(defaultText(entry), entry.since === optionSince ? undefined : entry.since)}`.split(
      ' ',
    ),
    width - column,
    0,
    ' ',
  )
  const tail = text.map((line) => ' '.repeat(column) + line)
  if (SUB_INDENT + label.length + 2 > column) return [indent + label, ...tail]
  return [(indent + label).padEnd(column) + (text[0] ?? ''), ...tail.slice(1)]
}

/** Default and first release, in brackets. */
function notes(defaultValue: string | undefined, since: string | undefined): string {
  const parts = [
    ...(defaultValue === undefined ? [] : [`default: ${defaultValue}`]),
    ...(since === undefined ? [] : [`since ${since}`]),
  ]
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`
}

/** A synopsis in pieces between which a line may end: before `[,`, and in long choices after `|`. */
function breakable(synopsis: string): string[] {
  const pieces = synopsis.split(/(?=\[,)/)
  return pieces.flatMap((piece) => (piece.length > LONG_CHOICE ? piece.split(/(?<=\|)/) : [piece]))
}

/** Fills lines with pieces up to `width`; the lines after the first are indented by `hang`. */
function wrapWords(pieces: readonly string[], width: number, hang: number, separator: string): string[] {
  const lines: string[] = []
  let line: string | undefined
  for (const piece of pieces) {
    if (line === undefined) {
      line = piece
    } else if (line.length + separator.length + piece.length <= width) {
      line += separator + piece
    } else {
      lines.push(line)
      line = ' '.repeat(hang) + piece
    }
  }
  if (line !== undefined) lines.push(line)
  return lines
}
