/** What `--suite` takes; by itself, so that the option table needs no suite. */
export const SUITE_NAMES = ['driver'] as const
export type SuiteName = (typeof SUITE_NAMES)[number]
