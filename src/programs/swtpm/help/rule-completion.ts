/** Completion of rules: commands, filters and their values, effects and theirs. @see ../../../responders/rules/rule.ts */
import type { ModeRow } from '../../../responders/modes/mode.ts'
import { MODES } from '../../../responders/modes/mode-table.ts'
import { EFFECTS, type EffectRow } from '../../../responders/rules/effect-table.ts'
import { FILTER_VALUES, OWN_FILTERS } from '../../../responders/when/filter.ts'
import { parameterNames } from '../../../responders/when/parameter-names.ts'
import { commandNames } from '../../../tpm-structures/commands.ts'
import { resultNames } from '../../../tpm-structures/result-codes.ts'

/** @param text of a rule, as far as it goes @returns how it may go on, from its beginning */
export function ruleProposals(text: string): string[] {
  const colon = endOfWhen(text)
  if (colon < 0) return whenProposals(text)
  const start = Math.max(colon, text.lastIndexOf(','))
  const effect = text.slice(start + 1)
  const lead = text.slice(0, start + 1) + (/^\s*/.exec(effect)?.[0] ?? '')
  return effectProposals(effect.trimStart()).map((proposal) => lead + proposal)
}

/** @param text of a when, as far as it goes */
export function whenProposals(text: string): string[] {
  const bracket = text.lastIndexOf('[')
  if (bracket > text.lastIndexOf(']')) {
    const start = Math.max(bracket, text.lastIndexOf(','))
    const commands = (text.slice(0, bracket).split('=').at(-1) ?? '').split('|')
    return filterProposals(commands, text.slice(start + 1)).map(
      (proposal) => text.slice(0, start + 1) + proposal,
    )
  }
  // Behind a label, or another command.
  const start = Math.max(text.lastIndexOf('='), text.lastIndexOf('|')) + 1
  return ['*', ...commandNames()].map((name) => text.slice(0, start) + name)
}

/** The colon behind the brackets. */
function endOfWhen(text: string): number {
  const open = text.indexOf('[')
  const colon = text.indexOf(':')
  if (open < 0 || (colon >= 0 && colon < open)) return colon
  const close = text.indexOf(']', open)
  return close < 0 ? -1 : text.indexOf(':', close)
}

function filterProposals(commands: readonly string[], text: string): string[] {
  const [name = '', value] = text.split('=')
  if (value !== undefined) return (FILTER_VALUES[name] ?? []).map((known) => `${name}=${known}`)
  const parameters = commands.flatMap((command) => parameterNames(command.trim()).first)
  return [...new Set([...OWN_FILTERS, ...parameters])].map((known) => `${known}=`)
}

function effectProposals(text: string): string[] {
  const [name = '', value] = text.split('=')
  if (value === undefined)
    return Object.entries<EffectRow>(EFFECTS).map(([known, row]) =>
      row.value === undefined || row.optional ? known : `${known}=`,
    )
  const row: EffectRow | undefined = Object.hasOwn(EFFECTS, name)
    ? EFFECTS[name as keyof typeof EFFECTS]
    : undefined
  const values = name === 'rc' && value !== '' ? resultNames() : (row?.suggestions ?? [])
  return values.map((known) => `${name}=${known}`)
}

/** What may follow `--mode`. */
export const modeProposals = (): string[] => [
  ...Object.entries<ModeRow>(MODES).flatMap(([name, { value, optional, suggestions = [] }]) => [
    ...(value === undefined || optional ? [name] : suggestions.length === 0 ? [`${name}=`] : []),
    ...suggestions.map((each) => `${name}=${each}`),
  ]),
  'help',
]
