/**
 * What a row of the option table looks like.
 *
 * A row is a yargs option object (so that it can be handed to yargs as it is) with our own columns added: the interfaces
 * that know the option, the release of swtpm that brought it, and the schema of its sub-options. Parser, help text,
 * manual page and shell completion are all made from these rows; none of them lists an option a second time.
 * @see https://yargs.js.org/docs/#api-reference-optionskey-opt
 */

import type { Interface, Owner } from '../../../serve/config.ts'

export type { Interface, Owner }

/** What values a sub-option takes; it decides the type of the parsed value, see {@link SubOptionValue}. */
export type SubOptionKind =
  /** any text that is not empty */
  | 'string'
  /** decimal number, 0 … `max` */
  | 'uint'
  /** file mode bits in octal, 0 … 0777 */
  | 'octal'
  /** `true`, `false`, `1`, `0`; the bare name means true */
  | 'bool'
  /** read like `bool`, but written as a bare name */
  | 'flag'
  /** one of `choices` */
  | 'enum'
  /** a user or group, by number or by name */
  | 'owner'

interface SubOptionBase {
  /** One sentence for help and manual page. */
  readonly describe: string
  /** Placeholder for the value in a synopsis. */
  readonly metavar?: string
  /** First release of swtpm that had it; absent: since the manual page's beginnings. */
  readonly since?: string
  /** What holds when it is not given, for the help text. */
  readonly defaultDescription?: string
}

export type SubOption = SubOptionBase &
  (
    | { readonly kind: 'string' | 'octal' | 'bool' | 'flag' | 'owner' }
    | { readonly kind: 'uint'; readonly max: number }
    | { readonly kind: 'enum'; readonly choices: readonly string[] }
  )

/** The sub-options of one option, by name, in the order in which help shows them. */
export type SubOptionSchema = { readonly [name: string]: SubOption }

/** The value that a sub-option of this kind is parsed to. */
export type SubOptionValue<S extends SubOption> = S extends { kind: 'enum'; choices: readonly (infer C)[] }
  ? C
  : S extends { kind: 'uint' | 'octal' }
    ? number
    : S extends { kind: 'bool' | 'flag' }
      ? boolean
      : S extends { kind: 'owner' }
        ? Owner
        : string

/** The parsed sub-options: `undefined` where one was not given. */
export type SubOptionValues<S extends SubOptionSchema> = {
  readonly [K in keyof S]?: SubOptionValue<S[K]>
}

/** The fields of a yargs option object that the table uses. */
export interface YargsOption {
  readonly type: 'string' | 'boolean'
  readonly alias?: string
  readonly describe: string
  readonly requiresArg?: true
  readonly group: string
  readonly conflicts?: readonly string[]
  readonly defaultDescription?: string
}

export interface OptionRow extends YargsOption {
  /** The interfaces that know this option. */
  readonly interfaces: readonly Interface[]
  /** Placeholder for the argument, when it is not a list of sub-options. */
  readonly metavar?: string
  /** The sub-options that the argument is made of. */
  readonly sub?: SubOptionSchema
  /** One or more ways to write the argument, without the option's name. */
  readonly synopsis?: readonly string[]
  /** First release of swtpm that had it; absent: since the manual page's beginnings. */
  readonly since?: string
  /**
   * The interfaces for which this is an extension that the reference does not have. There it must be written out in full,
   * so that it never makes an abbreviation ambiguous that the reference accepts.
   */
  readonly extension?: readonly Interface[]
  /** The verb that announces the option; while it is in ./not-yet.ts, the option is refused. */
  readonly feature?: string
}

/** Long name → row. */
export type OptionTable = { readonly [name: string]: OptionRow }
