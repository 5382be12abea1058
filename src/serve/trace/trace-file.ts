/** Writes TPM commands and responses in words, or as JSON, a line for each command. @see swtpm(8) --trace */
import { closeSync, constants, fchmodSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { SwtpmError } from '../../system/errors.ts'
import { log } from '../../system/log.ts'
import { reasonOf } from '../../system/reason.ts'
import { exchangeJson, exchangeLine, type TracedExchange } from '../../tpm-structures/exchange-text.ts'
import { PairedTrace } from './paired-trace.ts'

export interface TraceConfig {
  readonly destination:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'fd'; readonly fd: number }
    | { readonly kind: 'stdout' }
  readonly json: boolean
  /** Passwords and the like, too. */
  readonly secrets: boolean
  readonly mode: number
  readonly truncate: boolean
}

const STDOUT = 1

export class TraceFile extends PairedTrace {
  readonly #config: TraceConfig
  readonly #fd: number
  #failed = false

  /** @throws SwtpmError SWTPM_ERR_LOG: it cannot be opened, or not be written to */
  constructor(config: TraceConfig) {
    super()
    this.#config = config
    const { destination, mode, truncate } = config
    try {
      this.#fd = openTrace(destination, mode)
      writeSync(this.#fd, Buffer.alloc(0))
      // A descriptor may be a pipe or a device, which has no mode of ours and cannot be emptied.
      if (destination.kind !== 'stdout' && fstatSync(this.#fd).isFile()) {
        if (truncate) ftruncateSync(this.#fd)
        fchmodSync(this.#fd, mode)
      }
    } catch (error) {
      throw new SwtpmError(
        'SWTPM_ERR_LOG',
        `Cannot open the trace ${nameOf(destination)}: ${reasonOf(error)}`,
        {
          cause: error,
        },
      )
    }
  }

  protected override closeFile(): void {
    if (this.#fd !== STDOUT) closeSync(this.#fd)
  }

  protected override write(exchange: TracedExchange): void {
    if (this.#failed) return
    const { json, secrets } = this.#config
    const line = json
      ? JSON.stringify(exchangeJson(exchange, { secrets }))
      : exchangeLine(exchange, { secrets })
    try {
      const bytes = Buffer.from(`${line}\n`)
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#fd, bytes, written)
    } catch (error) {
      // A full disk, or a reader that has gone, ends the trace and not the TPM.
      this.#failed = true
      log.error(
        `Cannot write to the trace ${nameOf(this.#config.destination)}: ${reasonOf(error)}; nothing more is traced`,
      )
    }
  }
}

function openTrace(destination: TraceConfig['destination'], mode: number): number {
  if (destination.kind === 'stdout') return STDOUT
  if (destination.kind === 'fd') return destination.fd
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants
  return openSync(destination.path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode)
}

function nameOf(destination: TraceConfig['destination']): string {
  if (destination.kind === 'stdout') return 'on standard output'
  return destination.kind === 'fd' ? `on descriptor ${destination.fd}` : `"${destination.path}"`
}
