/** How options and their parts are written: in errors, help, manual page and completion alike. */
import type { OptionSpec } from './option-table.ts'
import type { SubOption, SubOptionSchema } from './sub-option.ts'

/** The ways to write the value of an option; none for a switch. */
export function waysOf({ value, sub }: OptionSpec): readonly string[] {
  if (sub !== undefined) return synopsesOf(sub)
  return value === undefined ? [] : [value]
}

/** A sub-option as it is written: `mode=MODE`, `type=tcp|unixio`, `lock[=BOOL]`, `truncate`. */
export function labelOf(name: string, entry: SubOption): string {
  switch (entry.kind) {
    case 'flag':
      return name
    case 'bool':
      return `${name}[=BOOL]`
    case 'enum':
      return `${name}=${entry.choices.join('|')}`
    default:
      return `${name}=${entry.metavar ?? 'VALUE'}`
  }
}

/** What holds without a sub-option, as help says it; undefined when that goes without saying. */
export function defaultText(entry: SubOption): string | undefined {
  if (entry.kind === 'flag' || !('default' in entry) || entry.default === undefined) return undefined
  const text = entry.kind === 'octal' ? `0${entry.default.toString(8)}` : String(entry.default)
  return entry.defaultNote === undefined ? text : `${text}; ${entry.defaultNote}`
}

/** `file=PATH|fd=FD[,truncate]`, once for each way. */
function synopsesOf(schema: SubOptionSchema): string[] {
  const entries = Object.entries(schema)
  const ways = new Set(entries.flatMap(([, { way }]) => way ?? []))
  if (ways.size === 0) return [synopsis(entries)]
  return [...ways].map((way) =>
    synopsis(
      entries
        .filter(([, entry]) => entry.way === undefined || entry.way === way)
        .map(([name, entry]) => [name, chosen(entry, way)]),
    ),
  )
}

/** What chooses the way has it as its only value. */
function chosen(entry: SubOption, way: string): SubOption {
  if (entry.kind !== 'enum' || !entry.choices.includes(way)) return entry
  return { ...entry, choices: [way], ...(entry.default !== way && { required: true }) }
}

function synopsis(entries: readonly [string, SubOption][]): string {
  const items: { text: string; required: boolean; oneOf: string | undefined }[] = []
  for (const [name, entry] of entries) {
    const text = labelOf(name, entry)
    const last = items.at(-1)
    if (last !== undefined && entry.oneOf !== undefined && last.oneOf === entry.oneOf) last.text += `|${text}`
    else items.push({ text, required: entry.required ?? false, oneOf: entry.oneOf })
  }
  // What the list needs comes first, so that it can be written as it stands.
  return items
    .toSorted((a, b) => Number(b.required) - Number(a.required))
    .map(({ text, required }, index) => {
      const item = index === 0 ? text : `,${text}`
      return required ? item : `[${item}]`
    })
    .join('')
}
