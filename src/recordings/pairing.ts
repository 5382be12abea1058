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

/** That a fault has struck the command that came last. */
export interface RecordedStrike {
  readonly fault: string
}

export class Pairing {
  #pending: RecordedMessage | undefined
  #faults: string[] = []
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

  /** The command that is not answered yet was struck. @param bytes those of the command that is meant, where that is known */
  struck(fault: string, bytes = this.#pending?.bytes): void {
    if (bytes !== undefined && this.#pending?.bytes.equals(bytes)) this.#faults.push(fault)
  }

  /** One that nothing else lies between. */
  whole(
    command: RecordedMessage,
    response: RecordedMessage | undefined,
    faults: readonly string[],
  ): TracedExchange {
    this.#start ??= command.at
    return this.#exchange(command, response, faults)
  }

  /** @returns what is not answered */
  end(): TracedExchange[] {
    const command = this.#pending
    this.#pending = undefined
    return command === undefined ? [] : [this.#exchange(command, undefined)]
  }

  #exchange(
    command: RecordedMessage,
    response: RecordedMessage | undefined,
    faults: readonly string[] = this.#faults.splice(0),
  ): TracedExchange {
    const { at } = command
    return {
      at: at === undefined || this.#start === undefined ? undefined : at - this.#start,
      duration: at === undefined || response?.at === undefined ? undefined : response.at - at,
      locality: command.locality,
      command: command.bytes,
      response: response?.bytes,
      ...(faults.length > 0 && { faults }),
    }
  }
}

/** A response that is no success has nothing behind its header. */
const isPossibleResponse = (bytes: Buffer): boolean =>
  bytes.length <= HEADER_BYTES || bytes.readUInt32BE(6) === 0
