/** One client of the script socket: what it asks for, and what it has taken and watches. */

import type { Exchange } from '../../../responders/exchange.ts'
import type { Fault } from '../../../responders/fault.ts'
import { parseEffects } from '../../../responders/rules/rule.ts'
import { RuleError } from '../../../responders/rules/rule-error.ts'
import type { LineClient, LineHandler } from '../../../system/io/line-server.ts'
import { jsonObject } from '../../../system/json-object.ts'
import { log } from '../../../system/log.ts'
import { reasonOf } from '../../../system/reason.ts'
import type { Scripting } from '../scripting.ts'
import {
  asRequest,
  type CommandStatus,
  type FaultStatus,
  MAX_LINE_BYTES,
  type ScriptRequest,
} from './script-messages.ts'
import { TakenCommands } from './taken-commands.ts'
import { watchExchanges } from './watch.ts'

/** Of watches and takes of a client, and of its requests to wait: each costs time for every command, or memory. */
const MAX_AT_ONCE = 100

export class ScriptClient implements LineHandler {
  readonly #client: LineClient
  readonly #scripting: Scripting
  readonly #taken = new TakenCommands()
  /** Watches and takes, by their numbers. */
  readonly #lasting = new Map<number, Disposable>()
  readonly #gone = new AbortController()
  #number = 0
  #waits = 0
  #ended = false

  constructor(client: LineClient, scripting: Scripting) {
    this.#client = client
    this.#scripting = scripting
  }

  async line(text: string): Promise<string | undefined> {
    let id: unknown
    try {
      const fields = jsonObject(text)
      id = fields.id
      const request = asRequest(fields)
      if (request.ask === 'wait') {
        this.#client.later(answer(this.#wait(request), (ok) => ({ ok, id }), { id }))
        return undefined
      }
      if (request.ask === 'decide') return await this.#decide(request, id)
      const ok = this.#do(request)
      // The next command of any client is sure to be seen, or not to be.
      await this.#scripting.settled
      return JSON.stringify({ ok, id })
    } catch (error) {
      return failure(error, { id })
    }
  }

  tooLong(): string {
    return failure(new Error(`a line is longer than ${MAX_LINE_BYTES} bytes`), {})
  }

  /** It can decide nothing any more. */
  end(): void {
    this.#ended = true
    for (const each of this.#lasting.values()) each[Symbol.dispose]()
    this.#lasting.clear()
  }

  close(): void {
    this.#gone.abort(new Error('the client has gone'))
    this.end()
  }

  #do(request: Exclude<ScriptRequest, { ask: 'wait' | 'decide' }>): unknown {
    const { faults } = this.#scripting
    switch (request.ask) {
      case 'fault': {
        const fault = faults.add(request.rule)
        log.info(`${fault} was added`)
        return fault.number
      }
      case 'list':
        return faults.list().map(statusOf)
      case 'remove': {
        const fault = this.#find(request.which)
        fault[Symbol.dispose]()
        log.info(`${fault} was removed`)
        return fault.number
      }
      case 'clear': {
        const count = faults.list().length
        faults.clear()
        log.info(count === 0 ? 'There was no fault to remove' : `All faults were removed (${count})`)
        return count
      }
      case 'watch':
        return this.#last((number) =>
          watchExchanges(this.#scripting.responders, request.when, this.#client, number),
        )
      case 'take':
        return this.#last((number) => this.#take(request.when, number))
      case 'stop': {
        const lasting = this.#lasting.get(request.number)
        if (lasting === undefined) throw new Error(`you have no watch or take ${request.number}`)
        this.#lasting.delete(request.number)
        lasting[Symbol.dispose]()
        return request.number
      }
    }
  }

  #find(which: number | string): Fault {
    const fault = this.#scripting.faults.find(which)
    if (fault !== undefined) return fault
    const there = this.#scripting.faults.list().map(({ number, label }) => label ?? String(number))
    throw new Error(
      `no fault ${JSON.stringify(which)}; there ${there.length === 0 ? 'are none' : `are ${there.join(', ')}`}`,
    )
  }

  #last(begin: (number: number) => Disposable): number {
    if (this.#lasting.size >= MAX_AT_ONCE)
      throw new Error(`you have ${MAX_AT_ONCE} watches and takes already`)
    // Its lines are read on; what lasts ends with them.
    if (this.#ended) throw new Error('you send no more: a watch or take would end at once')
    const number = this.#number + 1
    this.#lasting.set(number, begin(number))
    this.#number = number
    return number
  }

  #take(when: string, take: number): Disposable {
    return this.#scripting.responders.on(
      when,
      async (exchange, next, removed) => {
        if (removed.aborted) return undefined
        this.#client.send(JSON.stringify({ take, ...commandOf(exchange) }))
        const { signal } = exchange
        const tell = (): void =>
          this.#client.send(JSON.stringify({ take, n: exchange.number, gone: signal.reason }))
        signal.addEventListener('abort', tell)
        try {
          return await this.#taken.hold(exchange, next, removed)
        } finally {
          signal.removeEventListener('abort', tell)
        }
      },
      `a client of the script socket, for ${when}`,
    )
  }

  async #decide({ n, verdict }: ScriptRequest & { ask: 'decide' }, id: unknown): Promise<string | undefined> {
    const taken = this.#taken
    try {
      switch (verdict.what) {
        case 'response':
          taken.respond(n, verdict.bytes)
          break
        case 'pass':
          taken.pass(n)
          break
        case 'effects':
          taken.strike(n, parseEffects(verdict.effects, this.#scripting.responders.random()))
          break
        case 'command':
          // As long as the TPM takes; other lines are read meanwhile.
          this.#client.later(
            answer(
              taken.execute(n, verdict.bytes),
              ({ bytes, text }) => ({ n, response: bytes.toString('hex'), code: text, id }),
              { n, id },
            ),
          )
      }
      return undefined
    } catch (error) {
      return failure(error, { n, id })
    }
  }

  async #wait({ which, times, timeoutMs }: ScriptRequest & { ask: 'wait' }): Promise<object> {
    if (this.#waits >= MAX_AT_ONCE) throw new Error(`you wait for ${MAX_AT_ONCE} faults already`)
    const fault = this.#find(which)
    const enough = new AbortController()
    const timer = setTimeout(
      () =>
        enough.abort(
          new TimedOut(
            `${fault} has struck ${timesOf(fault.struck)} in ${timeoutMs / 1000} s, and not ${timesOf(times)}`,
          ),
        ),
      timeoutMs,
    )
    const leave = (): void => enough.abort(this.#gone.signal.reason)
    this.#gone.signal.addEventListener('abort', leave)
    this.#waits++
    try {
      while (fault.struck < times) await fault.next(enough.signal)
    } finally {
      this.#waits--
      clearTimeout(timer)
      this.#gone.signal.removeEventListener('abort', leave)
    }
    return { ...statusOf(fault), ...(fault.last !== undefined && commandOf(fault.last)) }
  }
}

/** What the client is told of work that takes time. */
const answer = <T>(work: Promise<T>, told: (result: T) => object, asked: object): Promise<string> =>
  work.then((result) => JSON.stringify(told(result))).catch((error) => failure(error, asked))

function failure(error: unknown, asked: object): string {
  const column = error instanceof RuleError ? { column: error.column } : {}
  const timedOut = error instanceof TimedOut ? { timedOut: true } : {}
  return JSON.stringify({ error: reasonOf(error), ...column, ...timedOut, ...asked })
}

class TimedOut extends Error {}

const timesOf = (count: number): string => (count === 1 ? 'once' : `${count} times`)

const statusOf = ({ number, label, text, struck }: Fault): FaultStatus => ({
  fault: number,
  ...(label !== undefined && { label }),
  rule: text,
  struck,
})

const commandOf = ({ number, name, locality, bytes }: Exchange): CommandStatus => ({
  n: number,
  name,
  locality,
  command: bytes.toString('hex'),
})
