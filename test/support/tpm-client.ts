/** A client of a TPM, whatever its commands travel by. */
import assert from 'node:assert/strict'
import { RawConnection } from './raw-connection.ts'
import { responseCode, TPM2 } from './tpm-commands.ts'

/** TPM 2.0: it has something to finish first, such as a write to its NV memory after Startup. */
export const TPM_RC_RETRY = 0x922

/** Carries one command there and its response back: a socket, a device, the engine channel. */
export interface TpmTransport {
  exchange(command: Uint8Array): Promise<Buffer>
}

export class TpmClient {
  readonly #transport: TpmTransport
  readonly #onRetry: () => void

  /** @param onRetry is told each time the TPM asks for a command again */
  constructor(transport: TpmTransport, onRetry: () => void = () => {}) {
    this.#transport = transport
    this.#onRetry = onRetry
  }

  /** @param address a Unix socket's path, or a TCP port on 127.0.0.1 */
  static async open(address: string | number): Promise<TpmClient & { readonly connection: RawConnection }> {
    const connection = await RawConnection.open(address)
    return Object.assign(new TpmClient(connection), { connection })
  }

  /** The response to a command, which is sent again as long as the TPM asks for that: the kernel does the same. */
  async ask(command: Uint8Array): Promise<Buffer> {
    for (;;) {
      // A transport may keep or change what it is given.
      const response = await this.#transport.exchange(Buffer.from(command))
      if (!asksAgain(response)) return response
      this.#onRetry()
    }
  }

  /** The response to a command that has to succeed. */
  async succeed(command: Uint8Array, what = 'the command'): Promise<Buffer> {
    const response = await this.ask(command)
    const code = responseCode(response)
    assert.equal(code, 0, `${what}: response code 0x${code.toString(16)}: ${response.toString('hex')}`)
    return response
  }

  /** A SHA-256 PCR of a TPM 2.0. */
  async pcr(index: number): Promise<Buffer> {
    return (await this.succeed(TPM2.pcrRead(index))).subarray(-32)
  }
}

export const asksAgain = (response: Buffer): boolean =>
  response.length >= 10 && responseCode(response) === TPM_RC_RETRY
