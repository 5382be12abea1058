/** A TPM whose clock has gone back. */
import type { Responder } from '../responder.ts'
import { parseTime } from '../time.ts'

const TAG_SESSIONS = 0x8002

/** From the second ReadClock on, time and clock are so much earlier. What a TPM signs, such as a quote, is as it is. */
export function clockBack(value: string): Responder {
  const ms = parseTime(value)
  if (ms === undefined) throw new RangeError(`"${value}" is no time; write 900ms, 2s or 50us`)
  const back = BigInt(Math.round(ms))
  let count = 0
  return async ({ name }, next) => {
    if (name !== 'ReadClock' || ++count === 1) return undefined
    const response = await next()
    if (response.code !== 0 || response.bytes.length < 30) return response
    const bytes = Buffer.from(response.bytes)
    // TPMS_TIME_INFO: u64 time, u64 clock.
    const at = bytes.readUInt16BE(0) === TAG_SESSIONS ? 14 : 10
    for (const field of [at, at + 8]) {
      const now = bytes.readBigUInt64BE(field)
      bytes.writeBigUInt64BE(now > back ? now - back : 0n, field)
    }
    return response.withBytes(bytes)
  }
}
