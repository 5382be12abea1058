/** The one mechanism: a function that sees a command and says what becomes of it. */
import type { Exchange } from './exchange.ts'
import type { Response } from './response.ts'

/**
 * Asks the responders below, and at the bottom the TPM.
 * @param command other bytes than the client has sent
 */
export type Next = (command?: Buffer) => Promise<Response>

/** A response, the bytes of one, the code of one, or an effect: another responder, which is asked in its place. */
export type Answer = Response | Buffer | number | NamedResponder

/** A responder that can be told from others. */
export interface NamedResponder extends Responder {
  readonly text: string
  /** It asks for {@link Exchange.previousResponse}. Of a responder without a text it is not known whether it does. */
  readonly needsPrevious?: boolean
}

/**
 * Sees a command before the TPM does. Without an answer the responders below are asked, as by `next()`. If it throws, the client
 * gets TPM_RC_FAILURE and the log says where.
 */
export type Responder = (
  exchange: Exchange,
  next: Next,
  /** Aborted when the responder is taken away. It is to wait no longer then; the exchange is still its to answer. */
  removed: AbortSignal,
  // biome-ignore lint/suspicious/noConfusingVoidType: a responder that only looks has no return statement
) => Answer | undefined | void | Promise<Answer | undefined | void>
