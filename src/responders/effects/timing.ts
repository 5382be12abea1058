/** When a command is executed, and when its response is given. */
import { type Effect, effect } from './effect.ts'

/**
 * The TPM gets the command so many ms later.
 * @param ms a number, or a range of which a time is taken for each command
 * @example tpm.on('GetCapability#1', delay(900))
 */
export function delay(ms: number | readonly [least: number, most: number], random = Math.random): Effect {
  const [least, most] = typeof ms === 'number' ? [ms, ms] : ms
  const text = least === most ? `delay=${least}ms` : `delay=${least}ms..${most}ms`
  return effect(text, (strike) => strike.wait(least + (most - least) * random()))
}

/**
 * The TPM never gets the command, and the client waits until it gives up, or the fault is taken away.
 * @example tpm.on('SelfTest', stall())
 */
export const stall = (): Effect => effect('stall', (strike) => strike.wait(undefined))

/**
 * The TPM executes the command, and the client gets the response so many ms later.
 * @example tpm.on('GetRandom', late(3000))
 */
export const late = (ms: number): Effect =>
  effect(`late=${ms}ms`, async (strike) => {
    await strike.response()
    await strike.wait(ms)
  })
