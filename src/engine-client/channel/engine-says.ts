/**
 * What engines say, checked against the contract in this one place: an engine may have been broken into by what its guest
 * sends, and nothing above the channel looks at lengths again.
 */

import {
  ENGINE_EVENTS,
  type EngineEvent,
  type EngineEventName,
  eventByType,
} from '../../../contract/engine-events.ts'
import { ENGINE_REQUESTS, engineCode, word } from '../../../contract/engine-requests.ts'
import { BIG, type Struct } from '../../../contract/struct.ts'
import { TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { controlCode, VERBS, type VerbName } from '../../../contract/verbs.ts'

// biome-ignore lint/suspicious/noExplicitAny: any structure, whatever its fields
type Reply = Struct<any>

const replyByCode: ReadonlyMap<number, Reply> = new Map<number, Reply>([
  ...(Object.keys(VERBS) as VerbName[]).map((name) => [controlCode(name), VERBS[name].resp] as const),
  ...Object.values(ENGINE_REQUESTS).map(({ code, resp }) => [code, resp] as const),
])

/**
 * A failure is its result alone; a success is the structure of the contract, whose `length` counts the bytes at its end.
 * @throws RangeError
 */
export function checkReply(code: number, reply: Buffer): void {
  const layout = replyByCode.get(code)
  if (layout === undefined) throw new RangeError(`a reply to request 0x${code.toString(16)}`)
  const failed = reply.length >= word.size && word.decode(reply, BIG).value !== TPM_SUCCESS
  const { fixedSize, size } = failed ? word : layout
  const what = `a reply of ${reply.length} bytes to request 0x${code.toString(16)}`
  if (reply.length < fixedSize || (fixedSize === size && reply.length > size)) throw new RangeError(what)
  if (fixedSize === size) return
  const { length } = layout.decode(reply, BIG) as { length: number }
  if (length !== reply.length - fixedSize) throw new RangeError(`${what}, which counts ${length} bytes`)
}

/** The one request whose reply may bring a descriptor: that of a client. */
export const bringsDescriptor = (code: number): boolean => code === engineCode('HAND_OVER')

/** @throws RangeError @returns the event's name */
export function checkEvent(type: number, payload: Buffer): EngineEventName {
  const name = eventByType.get(type)
  if (name === undefined) throw new RangeError(`an event of type ${type}`)
  const row: EngineEvent = ENGINE_EVENTS[name]
  const least = row.payload.size + (row.minBytes ?? 0)
  if (payload.length < least || (row.bytes === undefined && payload.length > least))
    throw new RangeError(`event ${name} with ${payload.length} bytes`)
  return name
}
