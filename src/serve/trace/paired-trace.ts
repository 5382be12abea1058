/** What passes, command by command: the response beside its command, whichever way they come. For `--trace` and `--record`. */
import { Pairing } from '../../recordings/pairing.ts'
import type { TracedExchange } from '../../tpm-structures/exchange-text.ts'
import type { Trace, WholeExchange } from './trace.ts'

export abstract class PairedTrace implements Trace {
  readonly #pairing = new Pairing()

  /** @param timeUs when it passed, in µs since 1970 @param locality of a command */
  record(direction: 'command' | 'response', timeUs: bigint, bytes: Buffer, locality: number): void {
    const at = Number(timeUs) / 1e6
    for (const exchange of this.#pairing.take({ direction, bytes, at, locality })) this.write(exchange)
  }

  struck(fault: string, command: Buffer): void {
    this.#pairing.struck(fault, command)
  }

  whole({ command, locality, beganUs, response, endedUs, faults }: WholeExchange): void {
    const asked = { direction: 'command', bytes: command, at: Number(beganUs) / 1e6, locality } as const
    const answered =
      response && ({ direction: 'response', bytes: response, at: Number(endedUs) / 1e6 } as const)
    this.write(this.#pairing.whole(asked, answered, faults))
  }

  close(): void {
    for (const exchange of this.#pairing.end()) this.write(exchange)
    this.closeFile()
  }

  protected abstract write(exchange: TracedExchange): void
  protected abstract closeFile(): void
}
