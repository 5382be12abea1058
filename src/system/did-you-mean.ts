/** The candidate closest to a mistyped word, if one is close enough to be what was meant; only errors pay for this. */
export function didYouMean(
  word: string,
  candidates: readonly string[],
  furthest: number = Math.floor(word.length / 3) + 1,
): string | undefined {
  let best: string | undefined
  let bestDistance = furthest + 1
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/**
 * What a message says behind a word that is none of the known ones, everywhere alike: `; did you mean "list"?`.
 * @returns '' where nothing is close enough
 */
export function meantHint(word: string, known: readonly string[]): string {
  const meant = didYouMean(word, known)
  return meant === undefined ? '' : `; did you mean "${meant}"?`
}

/** As {@link meantHint}, behind a list of all that is known: a guess that is far off would mislead there. */
export function choiceHint(word: string, known: readonly string[]): string {
  const meant = didYouMean(word, known, 1)
  return meant === undefined ? '' : `; did you mean "${meant}"?`
}

/** Insertions, deletions and replacements that turn one word into the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
