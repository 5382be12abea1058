/**
 * How a fuzzer runs: rounds with random numbers of their own, each with TPMs of its own, so that one alone can be had
 * again. In `npm test` they are few and always the same; `npm run fuzz` runs others for minutes.
 */
import { basename } from 'node:path'
import { long, seed } from '../hard/support/scale.ts'
import type { Cleanup } from '../support/swtpm.ts'
import { Random } from './random.ts'

const HARD_SECONDS = 60

/** Exactly so many rounds; otherwise rounds until the time is over, or those of `npm test`. */
const rounds = Number(process.env.SWTPM_FUZZ_ROUNDS ?? 0)
const seconds = Number(process.env.SWTPM_FUZZ_SECONDS ?? (long ? HARD_SECONDS : 0))

/** Such a time is a fault, not slowness: nothing that is asked for here takes near as long. */
export const HANG_MS = 60_000

type Round = (random: Random, t: Cleanup) => Promise<void> | void

/**
 * @param round gets what it undoes undone at its end, not at the end of the test: there may be very many
 * @param short how many rounds there are in `npm test`
 * @returns how many there were
 * @throws what a round throws, with the way to have that round again
 */
export async function fuzz(short: number, round: Round): Promise<number> {
  const end = performance.now() + seconds * 1000
  const goesOn = (done: number): boolean => {
    if (rounds > 0) return done < rounds
    return seconds > 0 ? performance.now() < end : done < short
  }
  let done = 0
  do {
    const own = seed + done
    // For when a round kills or hangs this very process; shown only then.
    console.log(`seed ${own}`)
    const undo: (() => unknown)[] = []
    try {
      await round(new Random(Math.imul(own, 0x9e3779b1)), { after: (action) => undo.push(action) })
    } catch (error) {
      const { message } = error as Error
      const replay = `npm run fuzz -- --seed ${own} --rounds 1 ${basename(__filename, '.test.js')}`
      throw new Error(`seed ${own} (again with \`${replay}\`): ${message}`, { cause: error })
    } finally {
      for (const action of undo.reverse()) await action()
    }
    done++
  } while (goesOn(done))
  return done
}

/** @throws when `promise` has not settled after {@link HANG_MS} */
export async function settled<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: no end after ${HANG_MS / 1000} s`)), HANG_MS)
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}
