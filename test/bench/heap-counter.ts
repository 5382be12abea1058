/** An engine whose heap allocations are counted: native/bench/heap_counter.cc preloaded. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { enginePath } from '../../src/engine-client/channel/engine-program.ts'
import { measuringProgram } from './programs.ts'

export class HeapCounter {
  /** A program to be started in place of tpm-engine; see SWTPM_ENGINE. */
  readonly engine: string
  readonly #file: string

  constructor(directory: string) {
    this.#file = join(directory, 'heap-allocations')
    this.engine = join(directory, 'engine')
    writeFileSync(this.#file, Buffer.alloc(8))
    const environment = `HEAP_COUNTER='${this.#file}' LD_PRELOAD='${measuringProgram('heap-counter.so')}'`
    writeFileSync(this.engine, `#!/bin/sh\n${environment} exec '${enginePath()}' "$@"\n`)
    chmodSync(this.engine, 0o755)
  }

  /** Since the engine was started. */
  get allocations(): number {
    return Number(readFileSync(this.#file).readBigUInt64LE())
  }
}
