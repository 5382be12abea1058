/** Asks an engine to give its TPM away. It may have been broken into, and is not asked for its leave. */
import { engineCode, word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { log } from '../../system/log.ts'
import type { Engine } from './engine-starter.ts'
import { orKilled } from './while-it-answers.ts'

/**
 * One that does not answer, or takes too long, is killed.
 * @returns `handedOver`: it does nothing more with the TPM; `refused`: it may do anything, while it lives
 */
export async function askToHandOver(old: Engine): Promise<'handedOver' | 'refused' | 'died'> {
  const reply = old.request(engineCode('HAND_OVER'), Buffer.alloc(0))
  await orKilled(() => old, reply)
  try {
    const result = word.decode(await reply, BIG).value
    if (result === TPM_SUCCESS) return 'handedOver'
    // As the storage is locked, it has no reason that keeps another one from continuing.
    log.error(`${old.describe()} does not hand its TPM over: result 0x${result.toString(16)}`)
    return 'refused'
  } catch (error) {
    if (!old.ended) throw error
    return 'died'
  }
}
