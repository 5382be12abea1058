/** The serial numbers of a CA's certificates, counted in a file. */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { reasonOf } from '../../system/reason.ts'
import { writeFileAtomic } from '../common/atomic-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'

const RANDOM_DIGITS = 20
/** Twenty bytes, the most that RFC 5280 allows. */
const LIMIT = 1n << 160n

/** The number after `last`; a fresh random one when `last` is no number or there is no next one. */
export function nextSerial(last: string | undefined): bigint {
  const text = last?.trim() ?? ''
  if (!/^\d{1,49}$/.test(text)) return randomSerial()
  const next = BigInt(text) + 1n
  return next < LIMIT ? next : randomSerial()
}

/** Takes the next number from `path` and records it there. The caller holds the CA's lock. */
export function takeSerial(path: string): bigint {
  let last: string | undefined
  try {
    last = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ToolFailure(`Cannot read serial number file "${path}": ${reasonOf(error)}`, { cause: error })
    }
  }
  const serial = nextSerial(last)
  try {
    writeFileAtomic(path, String(serial), 0o644)
  } catch (error) {
    throw new ToolFailure(`Cannot write serial number file "${path}": ${reasonOf(error)}`, { cause: error })
  }
  return serial
}

function randomSerial(): bigint {
  const digits = Array.from({ length: RANDOM_DIGITS }, (_, index) => randomInt(index === 0 ? 1 : 0, 10))
  return BigInt(digits.join(''))
}
