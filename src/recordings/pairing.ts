/** Puts commands and responses together that come one by one. */

import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { HEADER_BYTES } from '../tpm-structures/message.ts'

export interface RecordedMessage {
  /** undefined: not said, and told by what was before. */
  readonly direction: 'command' | 'response' | undefined
  readonly bytes: Buffer
  /** In seconds, on any clock that goes on. */
  readonly at: number | undefined
  /** Of a command. */
  readonly locality?: number
}

export class Pairing {
  #pending: RecordedMessage | undefined
  #start: number | undefined

  /** @returns the exchanges that this message ends: one that was not answered, and its own */
  take(message: RecordedMessage): TracedExchange[] {
    const { at } = message
    if (at !== undefined) this.#start ??= at
    const direction =
      message.direction ?? (this.#pending && isPossibleResponse(message.bytes) ? 'response' : 'command')
    if (direction === 'command') {
      const before = this.end()
      this.#pending = message
      return before
    }
    const command = this.#pending
    this.#pending = undefined
    // A response of its own is the end of something that was not recorded.
    return command === undefined ? [] : [this.#exchange(command, message)]
  }

  /** @returns what is not answered */
  end(): TracedExchange[] {
    const command = this.#pending
    this.#pending = undefined
    return command === undefined ? [] : [this.#exchange(command, undefined)]
  }

  #exchange(command: RecordedMessage, response: RecordedMessage | undefined): TracedExchange {
    const { at } = command
    return {
      at: at === undefined || this.#start === undefined ? undefined : at - this.#start,
      duration: at === undefined || response?.at === undefined ? undefined : response.at - at,
      locality: command.locality,
      command: command.bytes,
      response: response?.bytes,
    }
  }
}

/** A response that is no success has nothing behind its header. */
const isPossibleResponse = (bytes: Buffer): boolean =>
  bytes.length <= HEADER_BYTES || bytes.readUInt32BE(6) === 0
