/** What tests of a shared TPM ask of it, by whichever way a client of it sends a command. */
import assert from 'node:assert/strict'
import { handlesIn, responseCode, TPM2, tpm2 } from './tpm-commands.ts'

export const TRANSIENT = 0x8000_0000
export const LOADED_SESSIONS = 0x0200_0000
export const SAVED_SESSIONS = 0x0300_0000
export const FIRST_VIRTUAL_HANDLE = 0x80ff_ffff
/** TPM_RC_REFERENCE_H0: the first handle is of nothing that is there. */
export const UNKNOWN = 0x910

type Send = (command: Uint8Array) => Buffer | Promise<Buffer>

export class SpaceClient {
  readonly #send: Send

  constructor(send: Send) {
    this.#send = send
  }

  async ask(command: Uint8Array): Promise<Buffer> {
    return this.#send(command)
  }

  async code(command: Uint8Array): Promise<number> {
    return responseCode(await this.ask(command))
  }

  async succeed(command: Uint8Array): Promise<Buffer> {
    const response = await this.ask(command)
    assert.equal(responseCode(response), 0, response.toString('hex'))
    return response
  }

  /** A command whose response begins with a handle. */
  async #handle(command: Uint8Array): Promise<number> {
    return (await this.succeed(command)).readUInt32BE(10)
  }

  newKey(): Promise<number> {
    return this.#handle(TPM2.createPrimaryEcc)
  }

  newSession(): Promise<number> {
    return this.#handle(TPM2.startPolicySession)
  }

  newSequence(): Promise<number> {
    return this.#handle(tpm2(0x186, [0, '000b']))
  }

  async handles(first: number): Promise<number[]> {
    return handlesIn(await this.succeed(TPM2.getHandles(first)))
  }

  /** All that it has: objects and sessions. */
  async own(): Promise<number[]> {
    return [...(await this.handles(TRANSIENT)), ...(await this.handles(LOADED_SESSIONS))]
  }
}
