/**
 * getopt_long(3)'s reading of a command line, which scripts rely on: a value follows after a blank or `=` and may begin
 * with `-` (`--pcr-banks -`, `--days -1`), unambiguous prefixes of an option stand for it, `--` ends the options.
 */
import { meanings } from './abbreviation.ts'
import { GivenOptions, type OptionTable } from './option-table.ts'
import { ToolFailure } from './tool-failure.ts'

export interface GetoptStyle {
  /** `-option` is as good as `--option` (getopt_long_only). */
  readonly singleDash?: boolean
}

/** @throws ToolFailure naming the option, what is wrong with it and what is allowed */
export function readCommandLine<T extends OptionTable>(
  table: T,
  argv: readonly string[],
  style: GetoptStyle = {},
): GivenOptions<T> {
  const values = new Map<string, string[]>()
  const strays: string[] = []
  const marker = style.singleDash ? /^--?(?=[^-])/ : /^--(?=[^-])/

  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!
    if (argument === '--') {
      strays.push(...argv.slice(index + 1))
      break
    }
    const dashes = marker.exec(argument)?.[0]
    if (dashes === undefined) {
      if (/^-./.test(argument)) throw new ToolFailure(`Unknown option "${argument}"`)
      strays.push(argument)
      continue
    }
    const [, typed = '', inline] = /^([^=]*)(?:=([\s\S]*))?$/.exec(argument.slice(dashes.length)) ?? []
    const name = resolveName(table, typed, dashes)
    const spec = table[name]!
    let value = inline
    if (spec.value === undefined) {
      if (inline !== undefined) throw new ToolFailure(`Option --${name} takes no value, but got "${inline}"`)
      value = ''
    } else if (inline === undefined) {
      const next = argv[index + 1]
      const taken = spec.valueOptional ? next !== undefined && !next.startsWith('-') : next !== undefined
      if (taken) index++
      else if (!spec.valueOptional)
        throw new ToolFailure(`Option --${name} needs a value: --${name} ${spec.value}`)
      value = taken ? next : ''
    }
    if (spec.choices !== undefined && !spec.choices.includes(value!)) {
      throw new ToolFailure(`Option --${name} does not know "${value}"; it takes ${spec.choices.join(', ')}`)
    }
    const earlier = spec.repeatable ? (values.get(name) ?? []) : []
    values.set(name, [...earlier, value!])
  }
  return new GivenOptions<T>(values, strays)
}

function resolveName(table: OptionTable, typed: string, dashes: string): string {
  const targetOf = new Map(Object.keys(table).map((name) => [name, name]))
  for (const [name, { alias }] of Object.entries(table)) if (alias !== undefined) targetOf.set(alias, name)

  const matches = meanings(typed, [...targetOf.keys()])
  const targets = new Set(matches.map((name) => targetOf.get(name)!))
  if (targets.size === 1) return [...targets][0]!
  if (targets.size === 0) throw new ToolFailure(`Unknown option "${dashes}${typed}"`)
  throw new ToolFailure(
    `Option "${dashes}${typed}" is ambiguous: it may be ${matches.map((m) => `--${m}`).join(', ')}`,
  )
}
