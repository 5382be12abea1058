/** TPM commands and responses over a connection to swtpm, one at a time. */
import { BIG } from '../../../contract/struct.ts'
import type { SocketConnection } from '../../ptm-client/socket-connection.ts'
import { reasonOf } from '../../system/reason.ts'
import { tpmHeader } from '../../tpm-commands/command.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** More than any TPM's response, in bytes: a size beyond it is not a TPM's. */
const MAX_RESPONSE_BYTES = 64 * 1024

/** The TPM has answered with an error. */
export class TpmRefusal extends ToolFailure {
  readonly code: number

  constructor(name: string, code: number) {
    super(`${name} failed: 0x${code.toString(16)}`)
    this.code = code
  }
}

export class DataChannel {
  readonly #connection: SocketConnection
  readonly #timeoutMs: number

  /** @param timeoutMs for each part of a response */
  constructor(connection: SocketConnection, timeoutMs: number) {
    this.#connection = connection
    this.#timeoutMs = timeoutMs
  }

  /**
   * Sends a command and returns its response, or what `decode` makes of it.
   * @param name of the command, for messages
   * @param decode throws RangeError for a response that it cannot use, saying why
   * @throws ToolFailure when the TPM answers with an error, with something that is no response, or not at all
   */
  async transmit<T = Buffer>(name: string, command: Buffer, decode?: (response: Buffer) => T): Promise<T> {
    const header = await this.#receive(name, command)
    const { size, code } = tpmHeader.decode(header, BIG)
    if (size < tpmHeader.size || size > MAX_RESPONSE_BYTES) {
      throw new ToolFailure(`${name} failed: the TPM's response claims to have ${size} bytes`)
    }
    const response = Buffer.concat([header, await this.#rest(name, size - tpmHeader.size)])
    if (code !== 0) throw new TpmRefusal(name, code)
    try {
      return decode === undefined ? (response as T) : decode(response)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new ToolFailure(`${name} failed: ${reasonOf(error)}`, { cause: error })
    }
  }

  close(): void {
    this.#connection.close()
  }

  #receive(name: string, command: Buffer): Promise<Buffer> {
    this.#connection.send(command)
    return this.#rest(name, tpmHeader.size)
  }

  async #rest(name: string, count: number): Promise<Buffer> {
    try {
      return await this.#connection.receive(count, this.#timeoutMs, name)
    } catch (error) {
      throw new ToolFailure(reasonOf(error), { cause: error })
    }
  }
}
