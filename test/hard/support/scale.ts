/**
 * These tests have two sizes: a short one for every `npm test`, and the long one of `npm run test:hard`, which sets
 * SWTPM_HARD=1 and collects the figures that they report.
 */
import { appendFileSync } from 'node:fs'

export const long = process.env.SWTPM_HARD === '1'

/** One of two sizes. */
export const scaled = <T>(short: T, hard: T): T => (long ? hard : short)

/** Seed of everything random, so that a failure can be had again: SWTPM_SEED. */
export const seed = Number(process.env.SWTPM_SEED ?? 1)

/** A line of the table that scripts/hard.mjs prints. */
export function figure(what: string, result: string): void {
  const file = process.env.SWTPM_FIGURES
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ what, result })}\n`)
}
