/** What becomes of the connection to the client. */
import { constants } from 'node:os'
import { guarded } from '../../system/guard.ts'
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
    strike.none({ how: 'hangUp' })
    // The device cannot go while its command is not done with.
    guarded(strike.exchange.delivered.then(() => strike.exchange.tpm.unplug(backAfterMs)))
  })

/**
 * The response comes in pieces of so many bytes.
 * @param pauseMs between two of them
 * @example tpm.on('GetCapability', pieces(8, 20))
 */
export const pieces = (sizeBytes: number, pauseMs = 0): Effect =>
  effect(`pieces=${sizeBytes}${pauseMs === 0 ? '' : `@${pauseMs}ms`}`, async (strike) => {
    strike.answer = (await strike.response()).delivered({ how: 'pieces', sizeBytes, pauseMs })
  })

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
