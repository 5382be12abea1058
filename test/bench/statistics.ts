/** Medians and spreads. */

export interface Spread {
  readonly count: number
  readonly p10: number
  readonly median: number
  readonly p90: number
}

/** @param values in any order, at least one */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number
  return { count: sorted.length, p10: at(0.1), median: at(0.5), p90: at(0.9) }
}
