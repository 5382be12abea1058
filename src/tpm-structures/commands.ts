/** The commands of both versions: by name, by code, with what each carries. */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { didYouMean } from '../system/did-you-mean.ts'
import { OTHER_NAMES, TPM_CC, TPM_ORD } from './command-codes.ts'
import { COMMAND_ROWS } from './command-rows.ts'
import { type Field, readFields } from './schema.ts'
import { ORDINAL_ROWS } from './tpm12-rows.ts'

export interface HandleRow {
  readonly name: string
  /** Whether a session authorizes its use. */
  readonly authorized: boolean
}

/** One command, as Part 3 describes it. */
export class CommandRow {
  readonly version: TpmVersion
  readonly name: string
  /** The command code, or the ordinal of TPM 1.2. */
  readonly code: number
  readonly #parts: readonly string[]

  constructor(version: TpmVersion, name: string, code: number, row: string) {
    this.version = version
    this.name = name
    this.code = code
    this.#parts = row.split('|').map((part) => part.trim())
  }

  get handles(): readonly HandleRow[] {
    return this.#handles(0)
  }

  get parameters(): readonly Field[] {
    return readFields(this.#parts[1] ?? '')
  }

  get responseHandles(): readonly HandleRow[] {
    return this.#handles(2)
  }

  get responseParameters(): readonly Field[] {
    return readFields(this.#parts[3] ?? '')
  }

  #handles(part: number): HandleRow[] {
    const words = (this.#parts[part] ?? '').split(' ').filter((word) => word !== '')
    return words.map((word) => ({ name: word.replace('@', ''), authorized: word.startsWith('@') }))
  }
}

class CommandSet {
  readonly rows: readonly CommandRow[]
  readonly byCode: ReadonlyMap<number, CommandRow>
  readonly byName: ReadonlyMap<string, CommandRow>

  constructor(
    version: TpmVersion,
    codes: Readonly<Record<string, number>>,
    rows: Readonly<Record<string, string>>,
    otherNames: Readonly<Record<string, string>>,
  ) {
    this.rows = Object.entries(codes).map(([name, code]) => new CommandRow(version, name, code, rows[name]!))
    this.byCode = new Map(this.rows.map((row) => [row.code, row]))
    const byName = new Map(this.rows.map((row) => [row.name.toLowerCase(), row]))
    for (const [other, name] of Object.entries(otherNames))
      byName.set(other.toLowerCase(), byName.get(name.toLowerCase())!)
    this.byName = byName
  }
}

const made = new Map<TpmVersion, CommandSet>()

function set(version: TpmVersion): CommandSet {
  let found = made.get(version)
  if (found === undefined) {
    found =
      version === '2'
        ? new CommandSet('2', TPM_CC, COMMAND_ROWS, OTHER_NAMES)
        : new CommandSet('1.2', TPM_ORD, ORDINAL_ROWS, {})
    made.set(version, found)
  }
  return found
}

/** All commands of a version. */
export const commandsOf = (version: TpmVersion): readonly CommandRow[] => set(version).rows

export const commandByCode = (version: TpmVersion, code: number): CommandRow | undefined =>
  set(version).byCode.get(code)

const withoutPrefix = (name: string): string => name.replace(/^TPM2?_(?:CC_|ORD_)?/i, '').toLowerCase()

/**
 * @param name as Part 3 has it, with or without TPM2_ or TPM_, in any case
 * @param version undefined: TPM 2.0, or 1.2 where only that has such a command
 */
export function commandByName(name: string, version?: TpmVersion): CommandRow | undefined {
  const [row] = commandsByName(name).filter((found) => version === undefined || found.version === version)
  return row
}

/** The commands of that name: one of each version, at most. 2.0 comes first. */
export const commandsByName = (name: string): CommandRow[] =>
  (['2', '1.2'] as const).flatMap((version) => set(version).byName.get(withoutPrefix(name)) ?? [])

/** The names of commands, for "did you mean" and completion. @param version undefined: of both */
export function commandNames(version?: TpmVersion): string[] {
  const rows = version === undefined ? [...commandsOf('2'), ...commandsOf('1.2')] : commandsOf(version)
  return [...new Set(rows.map(({ name }) => name))]
}

/** What a mistyped name of a command may have meant, nearest first; empty: nothing is near. */
export function nearestNames(word: string): string[] {
  const names = commandNames()
  const wanted = withoutPrefix(word)
  const byLower = new Map(names.map((name) => [name.toLowerCase(), name]))
  const near = didYouMean(wanted, [...byLower.keys()])
  const within = names.filter((name) => wanted.length >= 3 && name.toLowerCase().includes(wanted))
  const all = near === undefined ? within : [byLower.get(near)!, ...within]
  return [...new Set(all)].slice(0, 3)
}
