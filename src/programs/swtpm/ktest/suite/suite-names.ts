/** What `--suite` takes beside a file of the user; by itself, so that the option table needs no suite. */
export const SUITE_NAMES = ['driver', 'selftests'] as const
