/**
 * The programs as their readers know them: one shape for the option tables of all of them. Manual pages and shell completion
 * are made from it, so an option that is in a table is in both.
 */

import type { OptionRow } from '../../src/command-line/options/option.ts'
import { optionsOf, optionTable } from '../../src/command-line/options/table.ts'
import type { OptionSpec, OptionTable } from '../../src/programs/common/options/option-table.ts'
import type { SubOptionSchema } from '../../src/programs/common/options/sub-option.ts'
import { waysOf } from '../../src/programs/common/options/synopsis.ts'
import { SUBCOMMANDS } from '../../src/programs/swtpm/subcommands.ts'
import { biosOptions } from '../../src/programs/swtpm_bios/bios-options.ts'
import { CERT_OPTIONS } from '../../src/programs/swtpm_cert/cert-options.ts'
import { ioctlOptions } from '../../src/programs/swtpm_ioctl/ioctl-options.ts'
import { LOCALCA_OPTIONS } from '../../src/programs/swtpm_localca/localca-options.ts'
import { SETUP_OPTIONS } from '../../src/programs/swtpm_setup/setup-options.ts'
import { INTERFACES, type Interface } from '../../src/serve/config.ts'

export interface DocumentedOption {
  /** The name in its table. */
  readonly name: string
  /** As it is typed, the usual spelling last: `-p`, `--port`. */
  readonly words: readonly [string, ...string[]]
  /** The ways to write its argument; none for a switch. */
  readonly ways: readonly string[]
  readonly argumentOptional: boolean
  /** What follows the argument: `--save TYPE FILE`. */
  readonly operand?: string
  readonly sub?: SubOptionSchema
  /** All values that are allowed, or that are worth proposing. */
  readonly choices?: readonly string[]
  /** Heading under which the option is listed. */
  readonly group: string
  /** Sentences. */
  readonly describe: string
  /** Defaults, releases and the like. */
  readonly notes: readonly string[]
  /** Taken, and not shown. */
  readonly hidden: boolean
}

/** What can follow the name of a program that has no interfaces. */
export const tools = {
  swtpm_ioctl: documented(ioctlOptions),
  swtpm_bios: documented(biosOptions),
  swtpm_setup: documented(SETUP_OPTIONS),
  swtpm_localca: documented(LOCALCA_OPTIONS),
  swtpm_cert: documented(CERT_OPTIONS),
} as const

export type Tool = keyof typeof tools

/** What can follow `swtpm WORD`, by the name of its page, `swtpm-WORD`; the interfaces are on pages of their own. */
export const subcommands: ReadonlyMap<string, DocumentedOption[]> = new Map(
  [...SUBCOMMANDS]
    .filter(([word]) => !INTERFACES.some((iface) => iface === word))
    .map(([word, { options }]) => [`swtpm-${word}`, documented(options)]),
)

/** The options of `swtpm`: those of one interface, or all. */
export function swtpmOptions(iface?: Interface): DocumentedOption[] {
  const rows = iface === undefined ? (Object.entries(optionTable) as [string, OptionRow][]) : optionsOf(iface)
  return rows.map(([name, row]) => ({
    ...documentedOption(name, row),
    notes: notesOf(row, iface),
  }))
}

function notesOf(row: OptionRow, iface: Interface | undefined): string[] {
  const notes: string[] = []
  if (row.defaultDescription !== undefined) notes.push(`The default: ${row.defaultDescription}.`)
  if (row.since !== undefined) notes.push(`Since release ${row.since}.`)
  const extension = row.extension?.filter((each) => iface === undefined || each === iface) ?? []
  if (extension.length > 0) {
    const where = extension.length < row.interfaces.length && iface === undefined
    notes.push(
      `An extension${where ? ` for ${extension.join(' and ')}` : ''}; it must be written out in full.`,
    )
  }
  return notes
}

export function documented(table: OptionTable): DocumentedOption[] {
  return Object.entries(table).map(([name, spec]) => documentedOption(name, spec))
}

function documentedOption(name: string, spec: OptionSpec): DocumentedOption {
  const choices = spec.choices ?? spec.suggestions
  return {
    name,
    words: spec.alias === undefined ? [dashed(name)] : inOrder(dashed(spec.alias), dashed(name)),
    ways: waysOf(spec),
    argumentOptional: spec.valueOptional ?? false,
    ...(spec.operand !== undefined && { operand: 'FILE' }),
    ...(spec.sub !== undefined && { sub: spec.sub }),
    ...(choices !== undefined && { choices }),
    group: spec.group.replace(/:$/, ''),
    describe: sentence(spec.describe, choices),
    notes: [],
    hidden: spec.hidden ?? false,
  }
}

/** The client tools take `-stop` and `--c` as well; these are the usual spellings. */
function dashed(name: string): string {
  return name.length <= 2 ? `-${name}` : `--${name}`
}

/** Letters come before names, other spellings of a name behind it. */
function inOrder(alias: string, name: string): [string, string] {
  return alias.startsWith('--') ? [name, alias] : [alias, name]
}

/** A value that begins a sentence stays as it is typed. */
function sentence(text: string, values: readonly string[] = []): string {
  const first = text.split(/[\s,:;]/, 1)[0] ?? ''
  const capital = values.includes(first) ? text : text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!]$/.test(capital) ? capital : `${capital}.`
}
