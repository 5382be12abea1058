/**
 * The long options that a word may stand for: the one of this name, or all that it begins.
 * @see getopt_long(3)
 */
export function meanings(word: string, names: readonly string[]): string[] {
  if (names.includes(word)) return [word]
  return word === '' ? [] : names.filter((name) => name.startsWith(word))
}
