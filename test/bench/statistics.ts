/** Medians and spreads. */

export interface Spread {
  readonly count: number
  readonly p10: number
  readonly median: number
  readonly p90: number
  /** Of what lies between p10 and p90: not moved by the rare disturbance, nor by which of two speeds is the median. */
  readonly middleMean: number
}

/** @param values in any order, at least one */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number
  const middle = sorted.slice(Math.floor(0.1 * sorted.length), Math.ceil(0.9 * sorted.length))
  return {
    count: sorted.length,
    p10: at(0.1),
    median: at(0.5),
    p90: at(0.9),
    middleMean: middle.reduce((a, b) => a + b) / middle.length,
  }
}

/** The mean of ratios. @param values positive, at least one */
export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
