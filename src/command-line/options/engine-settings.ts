/** Passes sub-options on to the engine whose rows name an engine option. */
import type { EngineOptionValues } from '../../../contract/engine-options.ts'
import type {
  SubOption,
  SubOptionSchema,
  SubOptionValue,
  SubOptionValues,
} from '../../programs/common/options/sub-option.ts'

type EngineOptionName = keyof EngineOptionValues

/** A sub-option of swtpm. */
export type SwtpmSubOption = SubOption & {
  /** The engine option that it sets, or after `!` the one that it sets to the opposite. */
  readonly engine?: EngineOptionName | `!${EngineOptionName}`
}

/** @see SubOptionSchema */
export type SwtpmSchema = { readonly [name: string]: SwtpmSubOption }

/** The engine options that a schema names, with their values. */
export type EngineOptionsOf<S extends SubOptionSchema> = {
  readonly [K in keyof S as S[K] extends { engine: `!${infer Name}` }
    ? Name
    : S[K] extends { engine: infer Name extends string }
      ? Name
      : never]: SubOptionValue<S[K]>
}

export function engineOptionsOf<S extends SwtpmSchema>(
  schema: S,
  values: SubOptionValues<S>,
): EngineOptionsOf<S> {
  const options: Record<string, unknown> = {}
  for (const [name, { engine }] of Object.entries<SwtpmSubOption>(schema)) {
    const value = (values as Record<string, unknown>)[name]
    if (engine?.startsWith('!')) options[engine.slice(1)] = !value
    else if (engine !== undefined) options[engine] = value
  }
  return options as EngineOptionsOf<S>
}
