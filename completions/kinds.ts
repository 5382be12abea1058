/** What the shell can propose for an argument, by the placeholder in its synopsis. */

import type { DocumentedOption } from '../man/generator/programs.ts'
import type { SubOption } from '../src/programs/common/options/sub-option.ts'

export type Kind =
  | 'FILE'
  | 'DIR'
  | 'USER'
  | 'GROUP'
  | 'RULE'
  | 'WHEN'
  | 'MODE'
  | readonly string[]
  | undefined

const PLACEHOLDERS: Readonly<Record<string, Kind>> = {
  FILE: 'FILE',
  PATH: 'FILE',
  DEVICE: 'FILE',
  DIR: 'DIR',
  'DIR|URI': 'DIR',
  USER: 'USER',
  GROUP: 'GROUP',
  RULE: 'RULE',
  WHEN: 'WHEN',
  'NAME[=VALUE]': 'MODE',
}

export const kindOf = ({ choices, ways }: DocumentedOption): Kind => choices ?? PLACEHOLDERS[ways[0] ?? '']

export function subOptionKind(entry: SubOption): Kind {
  if (entry.kind === 'enum') return entry.choices
  if (entry.kind === 'bool' || entry.kind === 'flag') return ['true', 'false']
  return PLACEHOLDERS[entry.metavar ?? '']
}
