/**
 * Reads the argument of an option that is a list of sub-options: `dir=/var/lib/tpm,mode=0600,lock`.
 *
 * Items are separated by commas; a value that starts with `{` runs to the matching `}`, so that a JSON object may hold
 * commas. Every error names the option, the sub-option, the value and what is allowed.
 */

import type {
  GivenSubOptions,
  Owner,
  SubOption,
  SubOptionSchema,
} from '../../programs/common/options/sub-option.ts'
import { labelOf } from '../../programs/common/options/synopsis.ts'
import { choiceHint, meantHint } from '../../system/did-you-mean.ts'
import { CommandLineError, type ExitReason } from '../exit/command-line-error.ts'
import type { ListOptionName } from '../options/table.ts'

/** A list of sub-options that cannot be understood. The reason decides the exit code. */
export function subOptionError(
  option: ListOptionName,
  text: string,
  reason: ExitReason = 'badOption',
): CommandLineError {
  return new CommandLineError(reason, `--${option}: ${text}`, option)
}

/**
 * Parses and checks a list of sub-options.
 * @throws {CommandLineError} for an unknown or repeated sub-option, a missing or a wrong value.
 */
export function parseSubOptions<S extends SubOptionSchema>(
  option: ListOptionName,
  text: string,
  schema: S,
  reason: ExitReason = 'badOption',
): GivenSubOptions<S> {
  const fail = (message: string) => subOptionError(option, message, reason)
  const values: { [name: string]: string | number | boolean | Owner } = {}
  for (const item of splitItems(text, fail)) {
    const equals = item.indexOf('=')
    const name = equals < 0 ? item : item.slice(0, equals)
    const entry = Object.hasOwn(schema, name) ? schema[name] : undefined
    if (entry === undefined) throw fail(unknownSubOption(option, name, Object.keys(schema)))
    if (Object.hasOwn(values, name)) throw fail(`${name} is given more than once`)
    const value = equals < 0 ? undefined : item.slice(equals + 1)
    values[name] = readValue(name, value, entry, fail)
  }
  return values as GivenSubOptions<S>
}

type Fail = (message: string) => CommandLineError

function unknownSubOption(option: ListOptionName, name: string, known: readonly string[]): string {
  const list = `known are ${known.join(', ')}`
  if (name === '') return `an item is empty; ${list}`
  const hint = meantHint(name, known)
  if (hint !== '') return `"${name}" is unknown${hint}`
  // It may be a key, given where the name of its file belongs; errors end up in logs.
  const isSecret = option === 'key' || option === 'new-key' || option === 'migration-key'
  return `${isSecret ? 'an item' : `"${name}"`} is unknown; ${list}`
}

/** Cuts at the commas that are not inside a `{…}` value. */
function splitItems(text: string, fail: Fail): string[] {
  const items: string[] = []
  let rest: string | undefined = text
  while (rest !== undefined) {
    const comma: number = rest.indexOf(',')
    const equals: number = rest.indexOf('=')
    const isObject = equals >= 0 && (comma < 0 || equals < comma) && rest[equals + 1] === '{'
    const end: number = isObject ? endOfObject(rest, equals + 1, fail) : comma < 0 ? rest.length : comma
    items.push(rest.slice(0, end))
    rest = end < rest.length ? rest.slice(end + 1) : undefined
  }
  return items
}

/** Position after the `}` that closes the `{` at `start`; braces inside JSON strings do not count. */
function endOfObject(text: string, start: number, fail: Fail): number {
  const name = text.slice(0, start - 1)
  let depth = 0
  let inString = false
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (inString) {
      if (char === '\\') at++
      else if (char === '"') inString = false
    } else if (char === '"') {
      inString = true
    } else if (char === '{') {
      depth++
    } else if (char === '}' && --depth === 0) {
      const next = text[at + 1]
      if (next !== undefined && next !== ',')
        throw fail(`${name}: "${next}" after the closing brace, expected a comma`)
      return at + 1
    }
  }
  throw fail(`${name}: the closing brace is missing`)
}

/** The value in its type, or an error that says what would have been right. */
function readValue(
  name: string,
  value: string | undefined,
  entry: SubOption,
  fail: Fail,
): string | number | boolean | Owner {
  if (entry.kind === 'bool' || entry.kind === 'flag') {
    const bool = value === undefined ? true : readBoolean(value)
    if (bool === undefined) throw fail(`${name} "${value}" is neither true (or 1) nor false (or 0)`)
    return bool
  }
  if (value === undefined || value === '') {
    throw fail(`${name} needs a value: ${labelOf(name, entry)}`)
  }
  switch (entry.kind) {
    case 'string':
      return value
    case 'uint': {
      const number = readUnsigned(value, 10, entry.max)
      if (number === undefined)
        throw fail(`${name} "${value}" is not a decimal number from 0 to ${entry.max}`)
      return number
    }
    case 'octal': {
      const number = readUnsigned(value, 8, 0o777)
      if (number === undefined) throw fail(`${name} "${value}" is not an octal number up to 0777`)
      return number
    }
    case 'owner':
      return readOwner(value)
    case 'enum':
      if (!entry.choices.includes(value)) {
        throw fail(
          `${name} "${value}" is none of ${entry.choices.join(', ')}${choiceHint(value, entry.choices)}`,
        )
      }
      return value
  }
}

function readBoolean(text: string): boolean | undefined {
  const lower = text.toLowerCase()
  if (lower === 'true' || lower === '1') return true
  if (lower === 'false' || lower === '0') return false
  return undefined
}

/** Only digits of the base, nothing before or after; `undefined` when it is anything else or above `max`. */
export function readUnsigned(text: string, base: 8 | 10, max: number): number | undefined {
  if (!(base === 8 ? /^[0-7]+$/ : /^[0-9]+$/).test(text)) return undefined
  const number = Number.parseInt(text, base)
  return number <= max ? number : undefined
}

const ID_MAX = 0xffff_fffe // the highest number means "leave it as it is" to chown(2)

function readOwner(text: string): Owner {
  const id = readUnsigned(text, 10, ID_MAX)
  return id === undefined ? { name: text } : { id }
}
