/** `--record`: writes what passes between clients and TPM to a recording. */
import { release } from 'node:os'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { Pairing } from '../../recordings/pairing.ts'
import { RecordingFile } from '../../recordings/recording-file.ts'

export interface RecordConfig {
  readonly path: string
}

export class Recorder {
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

  close(): void {
    for (const exchange of this.#pairing.end()) this.#file.write(exchange)
    this.#file.close()
  }
}
