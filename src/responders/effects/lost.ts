/** Commands and responses that do not arrive, or arrive twice. */
import { type Effect, effect } from './effect.ts'

/**
 * The command is lost: the TPM does not execute it, and the client gets nothing.
 * @example tpm.on('GetRandom', drop())
 */
export const drop = (): Effect => effect('drop', (strike) => strike.none({ how: 'silence' }))

/**
 * The response is lost: the TPM executes the command, and the client gets nothing.
 * @example tpm.on('Shutdown[shutdownType=STATE]', mute())
 */
export const mute = (): Effect =>
  effect('mute', async (strike) => {
    strike.answer = (await strike.response()).delivered({ how: 'silence' })
  })

/**
 * The client gets the response twice.
 * @example tpm.on('PCR_Read', double())
 */
export const double = (): Effect =>
  effect('double', async (strike) => {
    strike.answer = (await strike.response()).delivered({ how: 'twice' })
  })
