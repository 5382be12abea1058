/** What `--suite` takes beside a file of the user; by itself, so that the option table needs no suite. */
export const SUITE_NAMES = ['driver'] as const
export type SuiteName = (typeof SUITE_NAMES)[number]

export const isSuiteName = (word: string): word is SuiteName =>
  (SUITE_NAMES as readonly string[]).includes(word)
