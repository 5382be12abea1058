/** `--out DIR`: what is left of a machine. */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type LogRecord, logLine } from '../../../machine/kernel-log.ts'
import { exchangesFrom } from '../../../recordings/exchanges.ts'
import { workingDirectory } from '../../../system/surroundings.ts'
import { exchangeLine } from '../../../tpm-structures/exchange-text.ts'
import type { TpmDescription } from './tpm-description.ts'

/** What an earlier run has left. */
const TRACE = /^(?:trace(?:-\w+)?\.(?:pcapng|txt)|tpm-\w+\.tpmrec)$/

export class OutputDirectory {
  readonly #path: string
  readonly #log: number
  readonly #traces: string[] = []

  constructor(path: string) {
    this.#path = resolve(workingDirectory() ?? '/', path)
    mkdirSync(this.#path, { recursive: true })
    for (const name of readdirSync(this.#path)) if (TRACE.test(name)) rmSync(join(this.#path, name))
    this.#log = openSync(join(this.#path, 'dmesg.txt'), 'w')
  }

  /** With one TPM it is trace.pcapng, with several trace-NAME.pcapng. */
  traceOf({ name }: TpmDescription, isOnlyOne: boolean): string {
    const trace = join(this.#path, isOnlyOne ? 'trace' : `trace-${name}`)
    this.#traces.push(trace)
    return `${trace}.pcapng`
  }

  /** The same to be replayed and played: tpm-NAME.tpmrec. */
  recordingOf({ name }: TpmDescription): string {
    return join(this.#path, `tpm-${name}.tpmrec`)
  }

  log(record: LogRecord): void {
    writeSync(this.#log, logLine(record))
  }

  /** What a kernel printed that has died. */
  console(text: string): void {
    writeSync(this.#log, `\n${text}\n`)
  }

  /** When the TPMs have ended: puts their traces into words, trace.txt beside trace.pcapng. */
  async finish(): Promise<void> {
    closeSync(this.#log)
    for (const trace of this.#traces) {
      const file = `${trace}.pcapng`
      if (existsSync(file)) await pipeline(Readable.from(linesOf(file)), createWriteStream(`${trace}.txt`))
    }
  }
}

/** What cannot be read stands among the lines: the end of a trace is missing when its TPM has died. */
async function* linesOf(file: string): AsyncGenerator<string> {
  const problems: string[] = []
  for await (const exchange of exchangesFrom(createReadStream(file), (problem) => problems.push(problem)))
    yield `${exchangeLine(exchange, { secrets: false })}\n`
  for (const problem of problems) yield `(${problem})\n`
}
