/** TPM commands and responses over a connection to swtpm, one at a time. */
import { BIG } from '../../../contract/struct.ts'
import type { SocketConnection } from '../../ptm-client/socket-connection.ts'
import { reasonOf } from '../../system/reason.ts'
import { tpmHeader } from '../../tpm-commands/command.ts'
import { TPM_CC, TPM_ORD } from '../../tpm-structures/command-codes.ts'
import { namedResult } from '../../tpm-structures/result-codes.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { Waits } from './waits.ts'

/** More than any TPM's response, in bytes: a size beyond it is not a TPM's. */
const MAX_RESPONSE_BYTES = 64 * 1024

/** The TPM has answered with an error. */
export class TpmRefusal extends ToolFailure {
  readonly code: number

  constructor(name: string, code: number) {
    super(`${name} failed: ${namedResult(`0x${code.toString(16)}`, name.startsWith('TPM2_') ? '2' : '1.2')}`)
    this.code = code
  }
}

export class DataChannel {
  readonly #connection: SocketConnection
  readonly #waits: Pick<Waits, 'answer' | 'key'>

  constructor(connection: SocketConnection, waits: Pick<Waits, 'answer' | 'key'>) {
    this.#connection = connection
    this.#waits = waits
  }

  /**
   * Sends a command and returns its response, or what `decode` makes of it.
   * @param name of the command, for messages
   * @param decode throws RangeError for a response that it cannot use, saying why
   * @throws ToolFailure when the TPM answers with an error, with something that is no response, or not at all
   */
  async transmit<T = Buffer>(name: string, command: Buffer, decode?: (response: Buffer) => T): Promise<T> {
    const timeoutMs = MAKES_KEY.has(commandCode(command)) ? this.#waits.key : this.#waits.answer
    this.#connection.send(command)
    const header = await this.#receive(name, tpmHeader.size, timeoutMs)
    const { size, code } = tpmHeader.decode(header, BIG)
    if (size < tpmHeader.size || size > MAX_RESPONSE_BYTES) {
      throw new ToolFailure(`${name} failed: the TPM's response claims to have ${size} bytes`)
    }
    const response = Buffer.concat([
      header,
      await this.#receive(name, size - tpmHeader.size, this.#waits.answer),
    ])
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

  async #receive(name: string, count: number, timeoutMs: number): Promise<Buffer> {
    try {
      return await this.#connection.receive(count, timeoutMs, name)
    } catch (error) {
      throw new ToolFailure(reasonOf(error), { cause: error })
    }
  }
}

/** Commands that may take long. */
const MAKES_KEY: ReadonlySet<number> = new Set([
  TPM_CC.CreatePrimary,
  TPM_ORD.CreateEndorsementKeyPair,
  TPM_ORD.TakeOwnership,
])

const commandCode = (command: Buffer): number => tpmHeader.decode(command, BIG).code
