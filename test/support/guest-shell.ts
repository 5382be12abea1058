/** The shell of a guest, on its second serial port. qemu-image.ts has its other end. */
import type { Socket } from 'node:net'
import { waitFor } from './wait.ts'

/** A guest on an emulated processor boots in seconds; on a busy machine it may take many. */
const BOOT_TIMEOUT_MS = 120_000
const ANSWER_TIMEOUT_MS = 60_000

export class GuestShell {
  readonly #stream: Socket
  /** @throws when the guest has gone, or once `what` has been waited for in vain; with what is known about the guest */
  readonly #until: (condition: () => boolean, what: string, timeoutMs: number) => Promise<void>
  #output = ''

  constructor(
    stream: Socket,
    until: (condition: () => boolean, what: string, timeoutMs: number) => Promise<void> = (
      condition,
      what,
      timeoutMs,
    ) => waitFor(condition, { what, timeoutMs }).then(() => undefined),
  ) {
    this.#stream = stream
    this.#until = until
    stream.on('data', (chunk) => {
      this.#output += chunk
    })
    // QEMU ends without reading all that it was sent.
    stream.on('error', () => {})
  }

  /** Waits until the guest has booted. */
  async booted(): Promise<void> {
    const [, word] = await this.#answer('the guest to come up', BOOT_TIMEOUT_MS)
    if (word !== 'up') throw new Error(`the guest came up with "${word}"`)
  }

  /** Lets another client in. */
  close(): void {
    this.#stream.destroy()
  }

  /** Forgets what was said before a reset. */
  forget(): void {
    this.#output = ''
  }

  /** Runs a line. @returns what it printed @throws when its exit status is not 0 */
  async run(line: string): Promise<string> {
    this.#stream.write(`${line}\n`)
    const [output, status] = await this.#answer(line, ANSWER_TIMEOUT_MS)
    if (status !== '0') throw new Error(`"${line}" ended with status ${status} in the guest: ${output}`)
    return output
  }

  /** Sends a TPM command from inside the guest. */
  async tpm(command: Uint8Array): Promise<Buffer> {
    return Buffer.from(await this.run(`tpm ${Buffer.from(command).toString('hex')}`), 'hex')
  }

  async #answer(what: string, timeoutMs: number): Promise<[output: string, word: string]> {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what cannot be in the output
    const pattern = /^([^\x01]*)\x01([^\x02]*)\x02/
    await this.#until(() => pattern.test(this.#output), what, timeoutMs)
    const [whole, output, word] = pattern.exec(this.#output) as unknown as [string, string, string]
    this.#output = this.#output.slice(whole.length)
    return [output, word]
  }
}
