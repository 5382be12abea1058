/** What happens to the TPM itself. */
import type { Forgettable } from '../tpm-control.ts'
import { type Effect, effect } from './effect.ts'

/**
 * The engine is killed. Another one goes on; the client is told that its command was cancelled, as after any death of an engine.
 * @example tpm.on('Create', crash())
 */
export const crash = (): Effect =>
  effect('crash', (strike) => {
    if (strike.answer === undefined) strike.none({ how: 'silence' })
    strike.exchange.tpm.crash()
  })

/**
 * The power fails and comes back: no TPM2_Shutdown, no answer to the command, and until Startup every command is answered
 * INITIALIZE. The TPM has not executed the command unless an effect to the left needs its response.
 * @example tpm.on('NV_Write/3', powercut())
 */
export const powercut = (): Effect =>
  effect('powercut', async (strike) => {
    await strike.exchange.tpm.reset()
    strike.none({ how: 'silence' })
  })

/**
 * As {@link powercut}, before the command, which the TPM then gets.
 * @example tpm.on('Startup', reset())
 */
export const reset = (): Effect => effect('reset', (strike) => strike.exchange.tpm.reset())

/**
 * The TPM loses something before it gets the command.
 * @example tpm.on('Startup', forget({ what: 'savestate' }))
 */
export const forget = (thing: Forgettable): Effect =>
  effect(`forget=${thing.what === 'nv' ? `nv:0x${thing.index.toString(16)}` : thing.what}`, (strike) =>
    strike.exchange.tpm.forget(thing),
  )
