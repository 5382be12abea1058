/** `--record`: writes what passes between clients and TPM to a recording. */
import { release } from 'node:os'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { RecordingFile } from '../../recordings/recording-file.ts'
import type { TracedExchange } from '../../tpm-structures/exchange-text.ts'
import { PairedTrace } from './paired-trace.ts'

export interface RecordConfig {
  readonly path: string
}

export class Recorder extends PairedTrace {
  readonly #file: RecordingFile

  /** @param source what is recorded, in words @throws SwtpmError SWTPM_ERR_RECORDING */
  constructor({ path }: RecordConfig, version: TpmVersion, source: string) {
    super()
    this.#file = new RecordingFile(path, { version, source, kernel: release() })
  }

  protected override write(exchange: TracedExchange): void {
    this.#file.write(exchange)
  }

  protected override closeFile(): void {
    this.#file.close()
  }
}
