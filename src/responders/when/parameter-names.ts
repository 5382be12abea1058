/** What a filter can ask of a command: the names of its handles and parameters, and of what is in them. */
import { commandsByName } from '../../tpm-structures/commands.ts'
import type { Field, Type } from '../../tpm-structures/schema.ts'

interface ParameterNames {
  /** As Part 3 has them, for messages and completion. */
  readonly first: readonly string[]
  /** In lower case, with those of Part 2 and the indices of lists. */
  readonly all: { has(name: string): boolean }
}

export function parameterNames(command: string): ParameterNames {
  const rows = commandsByName(command)
  const first = rows.flatMap((row) => [...row.handles, ...row.parameters].map(({ name }) => name))
  const all = new Set(first.map((name) => name.toLowerCase()))
  const seen = new Set<Type>()
  for (const { parameters } of rows) collect(parameters, all, seen)
  return { first, all: { has: (name) => /^\d+$/.test(name) || all.has(name) } }
}

function collect(fields: readonly Field[], names: Set<string>, seen: Set<Type>): void {
  for (const { name, type } of fields) {
    names.add(name.toLowerCase())
    collectType(type, names, seen)
  }
}

function collectType(type: Type, names: Set<string>, seen: Set<Type>): void {
  if (seen.has(type)) return
  seen.add(type)
  switch (type.kind) {
    case 'bytes':
      names.add(type.sizeName.toLowerCase())
      break
    case 'sized':
      names.add('size')
      collectType(type.of(), names, seen)
      break
    case 'list':
      names.add('count')
      collectType(type.of(), names, seen)
      break
    case 'union':
      for (const choice of type.choices.values()) collectType(choice(), names, seen)
      break
    case 'struct':
      collect(type.fields, names, seen)
  }
}
