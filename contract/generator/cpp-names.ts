/** How names of the contract are spelled in C++. */

const words = (name: string): string[] =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)

const capitalized = (word: string): string => word[0]!.toUpperCase() + word.slice(1).toLowerCase()

/** `MAX_FRAME_FDS`, `maxFrameFds` → `kMaxFrameFds`. */
export const constantName = (name: string): string => `k${words(name).map(capitalized).join('')}`

/** `modeGiven` → `mode_given`, `rejectLocality4` → `reject_locality_4`. */
export const memberName = (name: string): string =>
  words(name.replace(/([a-z])([0-9])/g, '$1_$2'))
    .join('_')
    .toLowerCase()
