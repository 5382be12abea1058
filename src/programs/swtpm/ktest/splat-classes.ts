/** What `--fail-on` can look for in a kernel's log. The exit code is 65 for the first, and so on. */
export const SPLAT_CLASSES = ['warning', 'bug', 'kasan', 'kmemleak', 'lockdep', 'hung'] as const
export type SplatClass = (typeof SPLAT_CLASSES)[number]

export const isSplatClass = (word: string): word is SplatClass =>
  (SPLAT_CLASSES as readonly string[]).includes(word)

/** 64, and the place of the class: 65 to 70. */
export const exitCodeOfSplat = (found: SplatClass): number => 65 + SPLAT_CLASSES.indexOf(found)
