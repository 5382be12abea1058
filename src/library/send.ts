/** Commands of this program to its own TPM, without a device. */
import { HIGHEST_LOCALITY } from '../../contract/limits.ts'
import type { EngineClient } from '../engine-client/engine-client.ts'
import { fromHex } from '../responders/effects/instead.ts'
import type { Incoming } from '../responders/exchange.ts'
import type { Response } from '../responders/response.ts'
import type { ResponderStack } from '../responders/stack.ts'
import type { Traces } from '../serve/trace/traces.ts'
import { SwtpmError } from '../system/errors.ts'

/** Where commands go, by way of what, and where they are written down. */
export interface SendTo {
  readonly responders: ResponderStack
  readonly engine: EngineClient
  readonly traces: Traces | undefined
}

interface SendOptions {
  readonly locality: number
  /** Of who sends. */
  readonly signal: AbortSignal | undefined
  /** Of the TPM. */
  readonly closing: AbortSignal
}

export async function sendInProcess(
  to: SendTo,
  command: Buffer | string,
  { locality, signal, closing }: SendOptions,
): Promise<Response> {
  const abort = new AbortController()
  // Not by AbortSignal.any(), which keeps something of every command as long as the TPM is there.
  const signals = signal === undefined ? [closing] : [closing, signal]
  const follow = (): void => abort.abort(signals.find(({ aborted }) => aborted)?.reason)
  if (signals.some(({ aborted }) => aborted)) follow()
  for (const each of signals) each.addEventListener('abort', follow)
  try {
    return await send(to, command, { locality, signal: abort.signal })
  } finally {
    for (const each of signals) each.removeEventListener('abort', follow)
  }
}

async function send(
  { responders, engine, traces }: SendTo,
  command: Buffer | string,
  { locality, signal }: Pick<Incoming, 'locality' | 'signal'>,
): Promise<Response> {
  signal.throwIfAborted()
  if (!(Number.isInteger(locality) && locality >= 0 && locality <= HIGHEST_LOCALITY))
    throw new RangeError(`There is no locality ${locality}; there are 0 to ${HIGHEST_LOCALITY}`)
  const bytes = typeof command === 'string' ? fromHex(command.replace(/\s+/g, '')) : Buffer.from(command)
  const beganUs = nowUs()
  let faults: readonly string[] = []
  const watching =
    traces &&
    responders.watch((exchange) => {
      if (exchange.received === bytes) faults = exchange.faults
    })
  const response = await responders
    .handle({ bytes, locality, from: 'client', signal }, (altered) => process(engine, altered, locality))
    .finally(() => watching?.[Symbol.dispose]())
  if (response !== 'pass')
    traces?.whole({
      ...{ command: bytes, locality, beganUs, endedUs: nowUs(), faults },
      response: response.bytes.length === 0 ? undefined : response.bytes,
    })
  signal.throwIfAborted()
  // There is always a watcher: the log.
  if (response === 'pass') throw new TypeError('a command has passed its log')
  switch (response.delivery.how) {
    case 'silence':
      throw lost('the response was lost')
    case 'hangUp':
      throw lost('the connection was closed')
    case 'errno':
      throw Object.assign(lost(`read() failed with errno ${response.delivery.errno}`), {
        errno: response.delivery.errno,
      })
    default:
      return response
  }
}

async function process(engine: EngineClient, command: Buffer, locality: number): Promise<Buffer> {
  const { tpmResult, response } = await engine.process(command, locality, { isUntold: true })
  if (tpmResult !== 0)
    throw new SwtpmError('SWTPM_ERR_SCRIPT', `the engine refuses the command: result ${tpmResult}`)
  return response
}

const nowUs = (): bigint => BigInt(Date.now()) * 1000n

const lost = (why: string): SwtpmError => new SwtpmError('SWTPM_ERR_NO_RESPONSE', `No response: ${why}`)
