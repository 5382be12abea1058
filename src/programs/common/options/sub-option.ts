/** How the parts of an option are declared whose value is a list: `dir=DIR,mode=0600,lock`. */
import type { Owner } from '../../../system/process/users.ts'

export type { Owner }

interface SubOptionBase {
  /** One sentence for help and manual page. */
  readonly describe: string
  /** Placeholder for the value in a synopsis. */
  readonly metavar?: string
  /** First release of swtpm that had it; absent: since the manual page's beginnings. */
  readonly since?: string
  /** When the default is another one: `false with backup`. */
  readonly defaultNote?: string
  /** The way of writing the list that this belongs to, where there are several; absent: to all. */
  readonly way?: string
  /** Those with the same name here, one after the other, are alternatives. */
  readonly oneOf?: string
  /** The list needs it, or one of its alternatives. */
  readonly required?: true
}

/** What values a sub-option takes. `default` is the value without it; a `flag` is false without it. */
export type SubOption = SubOptionBase &
  (
    | {
        /** any text that is not empty */
        readonly kind: 'string'
        readonly default?: string
      }
    | {
        /** decimal number, 0 … `max` */
        readonly kind: 'uint'
        readonly max: number
        readonly default?: number
      }
    | {
        /** file mode bits in octal, 0 … 0777 */
        readonly kind: 'octal'
        readonly default?: number
      }
    | {
        /** `true`, `false`, `1`, `0`; the bare name means true */
        readonly kind: 'bool'
        readonly default: boolean
      }
    | {
        /** read like `bool`, but written as a bare name */
        readonly kind: 'flag'
      }
    | {
        readonly kind: 'enum'
        readonly choices: readonly string[]
        readonly default?: string
      }
    | {
        /** a user or group, by number or by name */
        readonly kind: 'owner'
      }
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

/** The sub-options that were given; the others are `undefined`. */
export type GivenSubOptions<S extends SubOptionSchema> = {
  readonly [K in keyof S]?: SubOptionValue<S[K]>
}

type Defaulted<S extends SubOptionSchema> = {
  [K in keyof S]: S[K] extends { kind: 'flag' } | { default: unknown } ? K : never
}[keyof S]

/** All sub-options: as they were given, else by default; `undefined` where there is no default. */
export type SubOptionValues<S extends SubOptionSchema> = {
  readonly [K in Defaulted<S>]: SubOptionValue<S[K]>
} & { readonly [K in Exclude<keyof S, Defaulted<S>>]: SubOptionValue<S[K]> | undefined }

/** @param given nothing when the option itself was not given */
export function withDefaults<S extends SubOptionSchema>(
  schema: S,
  given: GivenSubOptions<S> | undefined,
): SubOptionValues<S> {
  const values: Record<string, unknown> = { ...given }
  for (const [name, entry] of Object.entries(schema)) {
    if (values[name] === undefined) values[name] = defaultOf(entry)
  }
  return values as SubOptionValues<S>
}

function defaultOf(entry: SubOption): unknown {
  if (entry.kind === 'flag') return false
  return 'default' in entry ? entry.default : undefined
}
