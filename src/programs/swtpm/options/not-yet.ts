/**
 * What the command line can say and the rest of the program does not do yet, by the verbs of `--print-capabilities`.
 *
 * None of these is claimed as a feature, and an option that would silently do nothing is refused. Whoever brings one to life
 * takes its verb out of this list; nothing else has to change.
 */
export const notYet: ReadonlySet<string> = new Set([
  'profile-opt-remove-disabled', // fips-host works; check is refused
])
