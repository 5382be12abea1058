/** One option as an entry of a tagged list, with its sub-options below it. */
import type { SubOption } from '../../src/programs/common/options/sub-option.ts'
import { defaultText, labelOf } from '../../src/programs/common/options/synopsis.ts'
import type { DocumentedOption } from './programs.ts'
import { bold, italic, literal, prose, synopsis } from './roff.ts'

/**
 * @param sameAs an option with the same sub-options that the page describes already
 */
export function optionEntry(option: DocumentedOption, sameAs?: string): string[] {
  const lines = tags(option)
  lines.push(...prose([option.describe, ...option.notes].join(' ')))
  if (option.sub === undefined) return lines
  if (sameAs !== undefined) return [...lines, '.IP', `The sub\\-options are those of ${bold(`--${sameAs}`)}.`]
  lines.push('.RS')
  for (const [name, entry] of Object.entries(option.sub)) lines.push(...subOptionEntry(name, entry))
  return [...lines, '.RE']
}

function tags(option: DocumentedOption): string[] {
  const words = option.words.map(bold).join(', ')
  if (option.ways.length === 0) return ['.TP', words]
  return option.ways.flatMap((way, index) => {
    const name = index === 0 ? words : bold(option.words.at(-1)!)
    const operand = option.operand === undefined ? '' : ` ${italic(option.operand)}`
    const argument = option.argumentOptional ? `[${synopsis(way)}]` : synopsis(way)
    return [index === 0 ? '.TP' : '.TQ', `${name} ${argument}${operand}`]
  })
}

function subOptionEntry(name: string, entry: SubOption): string[] {
  const notes: string[] = []
  const byDefault = defaultText(entry)
  if (byDefault !== undefined) notes.push(`The default: ${escapeDot(byDefault)}`)
  if (entry.since !== undefined) notes.push(`Since release ${entry.since}.`)
  return ['.TP', synopsis(labelOf(name, entry)), ...prose([entry.describe, ...notes].join(' '))]
}

const escapeDot = (text: string): string => (text.endsWith('.') ? text : `${text}.`)

/** A list of names and meanings: environment, exit codes. */
export const definitions = (rows: readonly (readonly [name: string, meaning: string])[]): string[] =>
  rows.flatMap(([name, meaning]) => ['.TP', bold(name), ...prose(meaning)])

/** Examples: the meaning, then the command as it is typed. */
export const examples = (rows: readonly { readonly meaning: string; readonly command: string }[]): string[] =>
  rows.flatMap(({ meaning, command }) => [
    '.PP',
    ...prose(`${meaning}:`),
    '.IP',
    '.nf',
    ...folded(command),
    '.fi',
  ])

/** A long command, continued on further lines as a shell takes it. */
function folded(command: string): string[] {
  const lines: string[] = []
  for (const piece of command.split(/ (?=--)/)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + piece.length < 66) lines[lines.length - 1] = `${last} ${piece}`
    else lines.push(piece)
  }
  return lines.map((line, index) => {
    const more = index < lines.length - 1 ? ' \\e' : ''
    return `${index === 0 ? '' : '    '}\\fB${literal(line)}${more}\\fR`
  })
}
