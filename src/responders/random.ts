/** Random numbers that repeat: which commands a rule with a chance strikes, and what `random` flips. */

/** @returns numbers from 0 to below 1 */
export type Random = () => number

/**
 * The same numbers for the same seed, in every version of this program and of Node: SplitMix32.
 * @param stream numbers of their own for each
 */
export function seededRandom(seed: number, stream: number): Random {
  let state = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}
