/** What a responder has returned, as a response that is bounded, whatever its author did. */
import type { Exchange } from './exchange.ts'
import type { Next, Responder } from './responder.ts'
import { Response } from './response.ts'

/** Far more than any client takes. An engine takes no more in one message. */
const MAX_MESSAGE_BYTES = 512 * 1024

/** @throws TypeError, RangeError */
export function requireBounded(message: Buffer, what: string): void {
  if (!Buffer.isBuffer(message)) throw new TypeError(`${what} is a Buffer, and not ${typeof message}`)
  if (message.length > MAX_MESSAGE_BYTES)
    throw new RangeError(`${what} of ${message.length} bytes; it may have ${MAX_MESSAGE_BYTES}`)
}

/** Of effects that return another one. One that returns itself would never end. */
const MAX_STEPS = 100

/** Asks a responder, and the effects that it returns. @throws RangeError, TypeError: it has returned something else; what it throws */
export async function settle(
  responder: Responder,
  exchange: Exchange,
  next: Next,
  removed: AbortSignal,
  steps = 1,
): Promise<Response> {
  const answer = await responder(exchange, next, removed)
  if (answer === undefined) return next()
  if (answer instanceof Response) return answer
  if (typeof answer === 'number') {
    if (!(Number.isInteger(answer) && answer >= 0 && answer <= 0xffffffff))
      throw new RangeError(`${answer} is no response code`)
    return Response.ofCode(exchange, answer)
  }
  if (Buffer.isBuffer(answer)) return new Response(exchange, answer)
  if (typeof answer === 'function') {
    if (steps >= MAX_STEPS) throw new RangeError(`${MAX_STEPS} effects that return another effect each`)
    return settle(answer, exchange, next, removed, steps + 1)
  }
  throw new TypeError('it returned neither a response, bytes, a response code nor an effect')
}
