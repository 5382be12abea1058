/** `--record`: writes what passes between clients and TPM to a recording. */
import { release } from 'node:os'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { Pairing } from '../../recordings/pairing.ts'
import { RecordingFile } from '../../recordings/recording-file.ts'
import type { Trace, WholeExchange } from './trace.ts'

export interface RecordConfig {
  readonly path: string
}

export class Recorder implements Trace {
  readonly #file: RecordingFile
  readonly #pairing = new Pairing()

  /** @param source what is recorded, in words @throws SwtpmError SWTPM_ERR_RECORDING */
  constructor({ path }: RecordConfig, version: TpmVersion, source: string) {
    this.#file = new RecordingFile(path, { version, source, kernel: release() })
  }

  /** @param timeUs when it passed, in µs since 1970 @param locality of a command */
  record(direction: 'command' | 'response', timeUs: bigint, bytes: Buffer, locality: number): void {
    const at = Number(timeUs) / 1e6
    for (const exchange of this.#pairing.take({ direction, bytes, at, locality })) this.#file.write(exchange)
  }

  struck(fault: string, command: Buffer): void {
    this.#pairing.struck(fault, command)
  }

  whole({ command, locality, beganUs, response, endedUs, faults }: WholeExchange): void {
    const asked = { direction: 'command', bytes: command, at: Number(beganUs) / 1e6, locality } as const
    const answered =
      response && ({ direction: 'response', bytes: response, at: Number(endedUs) / 1e6 } as const)
    this.#file.write(this.#pairing.whole(asked, answered, faults))
  }

  close(): void {
    for (const exchange of this.#pairing.end()) this.#file.write(exchange)
    this.#file.close()
  }
}
