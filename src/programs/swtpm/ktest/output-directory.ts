/** `--out DIR`: what is left of a machine. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type LogRecord, logLine } from '../../../machine/kernel-log.ts'
import { workingDirectory } from '../../../system/surroundings.ts'
import type { TpmDescription } from './tpm-description.ts'

export class OutputDirectory {
  readonly #path: string
  readonly #log: number

  constructor(path: string) {
    this.#path = resolve(workingDirectory() ?? '/', path)
    mkdirSync(this.#path, { recursive: true })
    this.#log = openSync(join(this.#path, 'dmesg.txt'), 'w')
  }

  /** A file of an earlier run is gone. With one TPM it is trace.pcapng, with several trace-NAME.pcapng. */
  traceOf({ name }: TpmDescription, isOnlyOne: boolean): string {
    const file = join(this.#path, isOnlyOne ? 'trace.pcapng' : `trace-${name}.pcapng`)
    rmSync(file, { force: true })
    return file
  }

  log(record: LogRecord): void {
    writeSync(this.#log, logLine(record))
  }

  /** What a kernel printed that has died. */
  console(text: string): void {
    writeSync(this.#log, `\n${text}\n`)
  }

  close(): void {
    closeSync(this.#log)
  }
}
