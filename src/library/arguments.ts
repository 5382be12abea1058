/** What programs without types may give by mistake: told at once, with what is allowed, and not when a command comes. */

/** An argument that is wrong in itself. It is a TypeError as those of Node's own modules are. */
export function wrongArgument(what: string, given: unknown, allowed: string): TypeError {
  return new TypeError(`Cannot use ${shown(given)} as ${what}; it takes ${allowed}`)
}

/** @throws TypeError: `given` is not one of `values` */
export function requireOneOf(what: string, given: unknown, values: readonly string[]): void {
  if (!values.includes(given as string))
    throw wrongArgument(what, given, values.map((value) => `"${value}"`).join(' or '))
}

/** @throws TypeError: an option has a name that `names` has not */
export function requireNames(what: string, options: object, names: readonly string[]): void {
  for (const name of Object.keys(options))
    if (!names.includes(name))
      throw new TypeError(`Cannot use option "${name}" of ${what}; its options are ${names.join(', ')}`)
}

/** Strings in quotes, as in all messages; of others that are long, their kind. */
function shown(given: unknown): string {
  if (typeof given === 'string') return `"${given}"`
  if (typeof given === 'object' && given !== null) return Array.isArray(given) ? 'an array' : 'an object'
  return typeof given === 'function' ? 'a function' : String(given)
}
