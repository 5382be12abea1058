/** The serial numbers of a CA's certificates, counted in a file. */
import { randomInt } from 'node:crypto'
import { reasonOf } from '../../system/reason.ts'
import { writeFileAtomic } from '../common/atomic-file.ts'
import { readTrustedFile } from '../common/read-trusted.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** Digits of a random start: few enough to count on for ever below {@link LIMIT}. */
const RANDOM_DIGITS = 18
/**
 * Releases before 0.9 keep the number in 64 bits and write it as it is, where the first bit would make it negative. They share
 * the file with us, so a larger number of a later release is not counted on.
 */
const LIMIT = 1n << 63n

/** The number after `last`; a fresh random one when `last` is no number, or the next one would be too large. */
export function nextSerial(last: string | undefined): bigint {
  const text = last?.trim() ?? ''
  if (!/^\d{1,49}$/.test(text)) return randomSerial()
  const next = BigInt(text) + 1n
  // That of releases before 0.9 after they met a number that was too large for them.
  if (next === 1n) return randomSerial()
  return next < LIMIT ? next : randomSerial()
}

/** Takes the next number from `path` and records it there. The caller holds the CA's lock. @throws ToolFailure */
export function takeSerial(path: string): bigint {
  let last: string | undefined
  try {
    last = readTrustedFile(path).toString('latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ToolFailure(`Cannot read serial number file "${path}": ${reasonOf(error)}`, { cause: error })
    }
  }
  const serial = nextSerial(last)
  try {
    writeFileAtomic(path, String(serial), 0o644)
  } catch (error) {
    throw new ToolFailure(
      `Cannot write serial number file "${path}": ${reasonOf(error)}; no certificate has been issued`,
      { cause: error },
    )
  }
  return serial
}

function randomSerial(): bigint {
  const digits = Array.from({ length: RANDOM_DIGITS }, (_, index) => randomInt(index === 0 ? 1 : 0, 10))
  return BigInt(digits.join(''))
}
