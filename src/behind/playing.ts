/** The responder at the bottom of the stack that answers out of a recording. */

import { asksTheSame } from '../recordings/differences.ts'
import type { Recording } from '../recordings/recording.ts'
import type { Exchange } from '../responders/exchange.ts'
import type { Responder } from '../responders/responder.ts'
import { Response } from '../responders/response.ts'
import { wait } from '../responders/time.ts'
import { log } from '../system/log.ts'
import { TPM_CC } from '../tpm-structures/command-codes.ts'
import { type DecodedCommand, decodeCommand } from '../tpm-structures/decode-command.ts'
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { failure, isForFrontEnd } from './asking.ts'
import type { PlayedConfig } from './config.ts'

interface Line {
  readonly exchange: TracedExchange
  readonly command: DecodedCommand
  played: boolean
}

export class Player {
  readonly #name: string
  readonly #config: PlayedConfig
  readonly #lines: readonly Line[]
  #byBytes = 0
  #byParameters = 0
  #otherwise = 0

  constructor(recording: Recording, config: PlayedConfig) {
    this.#name = recording.path
    this.#config = config
    this.#lines = recording.exchanges
      .map((exchange) => ({ exchange, command: decodeCommand(exchange.command), played: false }))
      .filter(({ command }) => command.code !== TPM_CC.SetLocality)
  }

  /** @param stop ends the TPM, as `else=stop` asks for */
  responder(stop: () => void): Responder {
    return async (exchange, next) => {
      if (isForFrontEnd(exchange)) return next()
      const line = this.#lineFor(exchange)
      if (line !== undefined) return this.#play(exchange, line)
      this.#otherwise++
      log.warn(`"${this.#name}" has no response to ${exchange.title}`)
      switch (this.#config.otherwise) {
        case 'FAILURE':
          return failure(exchange)
        case 'ours':
          return next()
        case 'stop':
          stop()
          return Response.none(exchange, { how: 'silence' })
      }
    }
  }

  /** At the end: how much of it was used. */
  report(): void {
    const played = this.#lines.filter((line) => line.played).length
    log.info(
      `Of "${this.#name}" ${played} of ${this.#lines.length} exchanges were played; ${this.#byBytes} commands had the same bytes, ` +
        `${this.#byParameters} the same parameters, ${this.#otherwise} were answered by else=${this.#config.otherwise}`,
    )
  }

  async #play(exchange: Exchange, line: Line): Promise<Response> {
    line.played = true
    const { duration, response } = line.exchange
    if (!this.#config.fast && duration !== undefined) await wait(exchange, 1000 * duration)
    return response === undefined
      ? Response.none(exchange, { how: 'silence' })
      : new Response(exchange, Buffer.from(response))
  }

  /**
   * The first line that was not played yet; where all were, the last one: a client may ask more often than the one that was
   * recorded. The same bytes go before the same parameters.
   */
  #lineFor(exchange: Exchange): Line | undefined {
    const { bytes, command } = exchange
    const sameBytes = this.#lines.filter((line) => line.command.bytes.equals(bytes))
    if (sameBytes.length > 0) {
      this.#byBytes++
      return nextOf(sameBytes)
    }
    const sameRequest = this.#lines.filter((line) => asksTheSame(line.command, command))
    if (sameRequest.length > 0) this.#byParameters++
    return nextOf(sameRequest)
  }
}

const nextOf = (lines: readonly Line[]): Line | undefined =>
  lines.find(({ played }) => !played) ?? lines.at(-1)
