/** Tells a client of exchanges when they are over. A client that does not read misses some, and is told how many. */
import type { Exchange } from '../../../responders/exchange.ts'
import type { Response } from '../../../responders/response.ts'
import type { ResponderStack } from '../../../responders/stack.ts'
import { guarded } from '../../../system/guard.ts'
import type { LineClient } from '../../../system/io/line-server.ts'
import type { CommandStatus } from './script-messages.ts'

/** Of lines that the client has not read yet. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** An exchange that is over, as a watch tells of it. */
export interface ExchangeStatus extends CommandStatus {
  /** Number of the watch. */
  readonly watch: number
  /** What the client was given; empty: nothing. */
  readonly response: string
  /** The response code in words, or in what way there was nothing. */
  readonly code: string
  /** When the command came, after the TPM's scripts had begun. */
  readonly atMs: number
  /** How long it took. */
  readonly ms: number
  /** What has struck it; not there: nothing. */
  readonly faults?: readonly string[]
}

/** @throws RuleError */
export function watchExchanges(
  stack: ResponderStack,
  when: string,
  client: LineClient,
  watch: number,
): Disposable {
  const matcher = stack.matcher(when)
  let dropped = 0
  let over = false
  const tell = (status: ExchangeStatus): void => {
    if (over) return
    if (client.pendingBytes > MAX_UNREAD_BYTES) {
      dropped++
      return
    }
    if (dropped > 0) client.send(JSON.stringify({ watch, dropped }))
    dropped = 0
    client.send(JSON.stringify(status))
  }
  const watching = stack.watch((exchange) => {
    if (!matcher.isMeant(exchange)) return
    const beganMs = performance.now()
    guarded(
      exchange.response.then((response) =>
        tell(statusOf(watch, exchange, response, performance.now() - beganMs)),
      ),
    )
  })
  return {
    [Symbol.dispose]() {
      over = true
      watching[Symbol.dispose]()
    },
  }
}

function statusOf(watch: number, exchange: Exchange, response: Response, ms: number): ExchangeStatus {
  return {
    watch,
    n: exchange.number,
    name: exchange.name,
    locality: exchange.locality,
    command: exchange.bytes.toString('hex'),
    response: response.bytes.toString('hex'),
    code: response.text,
    atMs: rounded(exchange.atMs),
    ms: rounded(ms),
    ...(exchange.faults.length > 0 && { faults: exchange.faults }),
  }
}

const rounded = (ms: number): number => Math.round(1000 * ms) / 1000
