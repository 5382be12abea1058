/** The responder at the bottom of the stack that asks another TPM, in place of libtpms. */
import { TPM_BAD_LOCALITY, TPM_BAD_PARAM_SIZE, TPM_FAIL, TPM_RC_FAILURE } from '../../contract/tpm-result.ts'
import type { Exchange } from '../responders/exchange.ts'
import type { Responder } from '../responders/responder.ts'
import { Response } from '../responders/response.ts'
import { Aborted } from '../responders/time.ts'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { TPM_CC } from '../tpm-structures/command-codes.ts'
import { HEADER_BYTES } from '../tpm-structures/message.ts'
import type { OtherTpm } from './other-tpm.ts'

/** @see TPM 2.0 Part 2, 6.6.3 */
const TPM_RC_LOCALITY = 0x907
const TPM_RC_COMMAND_SIZE = 0x142

/** In-band SetLocality is the front end's matter, and so is what is no command at all: the engine answers both. */
export const isForFrontEnd = ({ code }: Exchange): boolean =>
  code === undefined || code === TPM_CC.SetLocality

/** What the TPM at the bottom says where it cannot do what it should. */
export const failure = (exchange: Exchange): Response =>
  Response.ofCode(exchange, exchange.version === '2' ? TPM_RC_FAILURE : TPM_FAIL)

export function asking(other: OtherTpm): Responder {
  /** What is wrong, as it was logged; undefined while all is well. */
  let fault: string | undefined
  return async (exchange, next) => {
    if (isForFrontEnd(exchange)) return next()
    const isTpm2 = exchange.version === '2'
    // A device and a socket have locality 0.
    if (exchange.locality !== 0) return isTpm2 ? TPM_RC_LOCALITY : TPM_BAD_LOCALITY
    if (exchange.bytes.readUInt32BE(2) !== exchange.bytes.length)
      return isTpm2 ? TPM_RC_COMMAND_SIZE : TPM_BAD_PARAM_SIZE
    try {
      const response = await unlessAborted(exchange.signal, other.ask(exchange.bytes))
      if (response.length < HEADER_BYTES)
        log.warn(`The TPM "${other.name}" answers ${exchange.title} with ${response.length} bytes`)
      if (fault !== undefined) log.info(`The TPM "${other.name}" answers again`)
      fault = undefined
      return response
    } catch (error) {
      if (!(error instanceof SwtpmError)) throw error
      // Once, and not for each command that fails for the same reason.
      if (error.message !== fault) log.error(`${error.message}; commands are answered FAILURE`)
      fault = error.message
      return failure(exchange)
    }
  }
}

/** The other TPM goes on with the command; nobody waits for its answer any more. @throws Aborted */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Aborted(signal))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
