/**
 * The programs as their readers know them: one shape for the option tables of all of them. Manual pages and shell completion
 * are made from it, so an option that is in a table is in both.
 */

import type { ToolOptions } from '../../src/programs/common/client/client-options.ts'
import { FLEET_OPTIONS } from '../../src/programs/swtpm/fleet/fleet-options.ts'
import { notYet } from '../../src/programs/swtpm/options/not-yet.ts'
import type { Interface, OptionRow, SubOptionSchema } from '../../src/programs/swtpm/options/option.ts'
import { optionsOf, optionTable } from '../../src/programs/swtpm/options/table.ts'
import { biosOptions } from '../../src/programs/swtpm_bios/bios-options.ts'
import { CERT_OPTIONS, CERTIFICATE_TYPES } from '../../src/programs/swtpm_cert/cert-options.ts'
import { ioctlOptions } from '../../src/programs/swtpm_ioctl/ioctl-options.ts'
import { LOCALCA_OPTIONS } from '../../src/programs/swtpm_localca/localca-options.ts'
import { KEY_ALGORITHM_CHOICES } from '../../src/programs/swtpm_setup/key-templates.ts'
import { SETUP_OPTIONS } from '../../src/programs/swtpm_setup/setup-options.ts'
import { BLOB_TYPES } from '../../src/ptm-client/state-blob.ts'

export interface DocumentedOption {
  /** The name in its table. */
  readonly name: string
  /** As it is typed, the usual spelling last: `-p`, `--port`. */
  readonly words: readonly [string, ...string[]]
  /** The ways to write its argument; none for a switch. */
  readonly ways: readonly string[]
  readonly argumentOptional: boolean
  /** What stands behind the argument: `--save TYPE FILE`. */
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
  /** Accepted, and shown to nobody who does not ask. */
  readonly hidden: boolean
}

/** Values that a tool checks elsewhere than in its option table. */
type Values<T> = { readonly [option in keyof T]?: readonly string[] }

const localities = ['0', '1', '2', '3', '4']
const blobTypes = Object.keys(BLOB_TYPES)
const ioctlValues: Values<typeof ioctlOptions> = {
  l: localities,
  r: localities,
  save: blobTypes,
  load: blobTypes,
}
const setupValues: Values<typeof SETUP_OPTIONS> = {
  cipher: ['aes-128-cbc', 'aes-cbc', 'aes-256-cbc'],
  'rsa-keysize': ['2048', '3072', '4096', 'max'],
  'pcr-banks': ['sha1', 'sha256', 'sha384', 'sha512', '-'],
  ek1keyalgo: KEY_ALGORITHM_CHOICES,
  ek2keyalgo: KEY_ALGORITHM_CHOICES,
  iakkeyalgo: KEY_ALGORITHM_CHOICES,
  idevidkeyalgo: KEY_ALGORITHM_CHOICES,
  'create-config-files': ['overwrite', 'root', 'skip-if-exist'],
}
const localcaValues: Values<typeof LOCALCA_OPTIONS> = { type: CERTIFICATE_TYPES }
const certValues: Values<typeof CERT_OPTIONS> = {
  type: CERTIFICATE_TYPES,
  'ecc-curveid': ['secp256r1', 'secp384r1', 'secp521r1'],
}

/** What can follow the name of a program that has no interfaces. */
export const tools = {
  swtpm_ioctl: toolOptions(ioctlOptions, ioctlValues),
  swtpm_bios: toolOptions(biosOptions, {}),
  swtpm_setup: toolOptions(SETUP_OPTIONS, setupValues),
  swtpm_localca: toolOptions(LOCALCA_OPTIONS, localcaValues),
  swtpm_cert: toolOptions(CERT_OPTIONS, certValues),
} as const

export type Tool = keyof typeof tools

/** `swtpm fleet`. */
export const fleetOptions = toolOptions(FLEET_OPTIONS, {})

export const INTERFACES: readonly Interface[] = ['socket', 'chardev', 'cuse']

/** The options of `swtpm`: those of one interface, or all. */
export function swtpmOptions(iface?: Interface): DocumentedOption[] {
  const rows = iface === undefined ? (Object.entries(optionTable) as [string, OptionRow][]) : optionsOf(iface)
  return rows.map(([name, row]) => swtpmOption(name, row, iface))
}

function swtpmOption(name: string, row: OptionRow, iface: Interface | undefined): DocumentedOption {
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
  if (row.feature !== undefined && notYet.has(row.feature)) notes.push('Not supported by this version.')
  return {
    name,
    words: row.alias === undefined ? [`--${name}`] : [`-${row.alias}`, `--${name}`],
    ways: row.synopsis ?? (row.metavar === undefined ? [] : [row.metavar]),
    argumentOptional: false,
    ...(row.sub && { sub: row.sub }),
    group: row.group.replace(/:$/, ''),
    describe: row.describe,
    notes,
    hidden: false,
  }
}

function toolOptions<T extends ToolOptions>(table: T, values: Values<T>): DocumentedOption[] {
  return Object.entries(table).map(([name, spec]) => {
    const choices = spec.choices ?? values[name]
    return {
      name,
      words: spec.alias === undefined ? [dashed(name)] : inOrder(dashed(spec.alias), dashed(name)),
      ways: spec.value === undefined ? [] : [spec.value],
      argumentOptional: spec.valueOptional ?? false,
      ...(spec.operand !== undefined && { operand: 'FILE' }),
      ...(choices && { choices }),
      group: spec.group,
      describe: sentence(spec.describe),
      notes: [],
      hidden: spec.hidden ?? false,
    }
  })
}

/** The client tools take `-stop` and `--c` as well; these are the spellings that everybody uses. */
function dashed(name: string): string {
  return name.length <= 2 ? `-${name}` : `--${name}`
}

/** Letters stand before names, other spellings of a name behind it. */
function inOrder(alias: string, name: string): [string, string] {
  return alias.startsWith('--') ? [name, alias] : [alias, name]
}

function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!]$/.test(capital) ? capital : `${capital}.`
}
