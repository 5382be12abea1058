/** An engine whose heap allocations are counted: native/bench/heap_counter.cc preloaded. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nativeProgram } from './programs.ts'

export class HeapCounter {
  /** A program to be started in place of tpm-engine; see SWTPM_ENGINE. */
  readonly engine: string
  readonly #file: string

  constructor(directory: string) {
    this.#file = join(directory, 'heap-allocations')
    this.engine = join(directory, 'engine')
    writeFileSync(this.#file, Buffer.alloc(8))
    const environment = `HEAP_COUNTER='${this.#file}' LD_PRELOAD='${nativeProgram('heap-counter.so')}'`
    const real = process.env.SWTPM_ENGINE || nativeProgram('tpm-engine')
    writeFileSync(this.engine, `#!/bin/sh\n${environment} exec '${real}' "$@"\n`)
    chmodSync(this.engine, 0o755)
  }

  /** Since the engine was started. */
  get allocations(): number {
    return Number(readFileSync(this.#file).readBigUInt64LE())
  }
}
