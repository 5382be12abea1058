/**
 * Options that are parsed but not implemented yet, by their features in `--print-capabilities`.
 *
 * These features are not announced, and their options are refused. To implement one, remove its feature from this list; nothing
 * else has to change.
 */
export const notYet: ReadonlySet<string> = new Set<string>([])
