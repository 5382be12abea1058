/** What becomes of the connection to the client. */
import { constants } from 'node:os'
import { isFault, sentenceOf } from '../../system/fault.ts'
import { guarded } from '../../system/guard.ts'
import { log } from '../../system/log.ts'
import type { Exchange } from '../exchange.ts'
import { type Effect, effect } from './effect.ts'

/**
 * The connection is closed instead of an answer. A device that is served by its connection, that of the vTPM proxy, goes with it;
 * a client of a CUSE device gets EPIPE.
 * @example tpm.on('SetLocality#1', hangUp())
 */
export const hangUp = (): Effect => effect('hangup', (strike) => strike.none({ how: 'hangUp' }))

/**
 * The device or socket is taken away.
 * @param backAfterMs it is made again after this time; without: never
 * @example tpm.on('GetRandom#3', unplug())
 */
export const unplug = (backAfterMs?: number): Effect =>
  effect(backAfterMs === undefined ? 'unplug' : `unplug=${backAfterMs}ms`, (strike) => {
    strike.none({ how: 'silence' })
    // The device cannot go while its command is not done with.
    guarded(unplugAfter(strike.exchange, backAfterMs))
  })

/** A device that cannot be taken away, or does not come back, is a line of the log. */
async function unplugAfter({ delivered, tpm }: Exchange, backAfterMs: number | undefined): Promise<void> {
  await delivered
  try {
    await tpm.unplug(backAfterMs)
  } catch (error) {
    if (!isFault(error)) throw error
    log.error(sentenceOf(error))
  }
}

/**
 * The response comes in pieces of so many bytes.
 * @param pauseMs between two of them
 * @throws RangeError: there are no pieces of such a size
 * @example tpm.on('GetCapability', pieces(8, 20))
 */
export function pieces(sizeBytes: number, pauseMs = 0): Effect {
  if (!(Number.isInteger(sizeBytes) && sizeBytes >= 1))
    throw new RangeError(`pieces have a whole number of bytes from 1, and not ${sizeBytes}`)
  return effect(`pieces=${sizeBytes}${pauseMs === 0 ? '' : `@${pauseMs}ms`}`, async (strike) => {
    strike.answer = (await strike.response()).delivered({ how: 'pieces', sizeBytes, pauseMs })
  })
}

/**
 * read() of a client of a CUSE device fails; any other connection has no such thing, and is closed.
 * @param name of an errno: `EIO`
 * @throws RangeError: there is no such errno
 * @example tpm.on('GetRandom', errno('EIO'))
 */
export function errno(name: string): Effect {
  const number = (constants.errno as Readonly<Record<string, number>>)[name.toUpperCase()]
  if (number === undefined) throw new RangeError(`there is no errno "${name}"`)
  return effect(`errno=${name.toUpperCase()}`, (strike) => strike.none({ how: 'errno', errno: number }))
}
