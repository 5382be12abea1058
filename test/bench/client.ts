/** The measuring client: a process of its own that stays connected to one TPM and times batches of commands. */
import { responseCode } from '../support/tpm-commands.ts'
import { LineProgram } from './programs.ts'

/** What is sent; native/bench/client.cc explains each. */
export interface Batch {
  readonly count: number
  readonly command?: Uint8Array
  readonly vary?: { readonly offset: number; readonly size: number }
  readonly flush?: boolean
  readonly pauseUs?: number
  readonly ioctl?: { readonly request: number; readonly argument: Uint8Array }
  readonly cancel?: { readonly afterUs: number; readonly command?: Uint8Array }
}

export interface Timing {
  /** Response code of the last command; of a PTM verb always 0. */
  readonly code: number
  readonly ns: readonly number[]
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export class BenchClient {
  readonly #program: LineProgram

  private constructor(program: LineProgram) {
    this.#program = program
  }

  /** @param address `unix:PATH` and so on; @param control a control channel's, to cancel commands by */
  static async connect(
    address: string,
    options: { control?: string; pin?: boolean } = {},
  ): Promise<BenchClient> {
    const { control, pin = false } = options
    const args = control === undefined ? [address] : [address, control]
    const program = new LineProgram('bench-client', args, { pin })
    await program.line()
    return new BenchClient(program)
  }

  async run({ count, command, vary, flush, pauseUs, ioctl, cancel }: Batch): Promise<Timing> {
    const words = [`count=${count}`]
    if (command) words.push(`command=${hex(command)}`)
    if (vary) words.push(`vary=${vary.offset},${vary.size}`)
    if (flush) words.push('flush=1')
    if (pauseUs) words.push(`pause=${pauseUs}`)
    if (ioctl) words.push(`ioctl=${ioctl.request},${hex(ioctl.argument)}`)
    if (cancel) words.push(`cancel=${cancel.afterUs}${cancel.command ? `,${hex(cancel.command)}` : ''}`)
    return JSON.parse(await this.#program.ask(words.join(' ')))
  }

  /** One command that is not measured. @throws unless it succeeds, or ends with one of `allowed` */
  async do(command: Uint8Array, allowed: readonly number[] = []): Promise<void> {
    const { code } = await this.run({ count: 1, command })
    if (code !== 0 && !allowed.includes(code)) {
      const what = `command 0x${responseCode(Buffer.from(command)).toString(16)}`
      throw new Error(`${what} was answered with 0x${code.toString(16)}`)
    }
  }

  close(): void {
    this.#program.end()
  }
}
