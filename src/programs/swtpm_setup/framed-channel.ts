/** One request, one reply on a byte stream whose replies say how long they are. */
import type { Duplex } from 'node:stream'
import { reasonOf } from '../../system/reason.ts'

/** The whole length of the reply that `received` begins, undefined while too little of it is there. */
export type ReplyLength = (received: Buffer) => number | undefined

export class FramedChannel {
  readonly #stream: Duplex
  #received: Buffer = Buffer.alloc(0)
  #wake: () => void = () => {}
  #ended: string | undefined

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    stream.on('close', () => this.#end('it closed the connection'))
    stream.on('error', (error) => this.#end(reasonOf(error)))
  }

  /** @throws Error when the other side goes away or does not answer within `timeoutMs` */
  async exchange(request: Buffer, length: ReplyLength, timeoutMs: number): Promise<Buffer> {
    const deadline = AbortSignal.timeout(timeoutMs)
    deadline.addEventListener('abort', () => this.#wake())
    this.#stream.write(request)
    for (;;) {
      const wanted = length(this.#received)
      if (wanted !== undefined && this.#received.length >= wanted) {
        const reply = this.#received.subarray(0, wanted)
        this.#received = this.#received.subarray(wanted)
        return reply
      }
      if (this.#ended !== undefined) throw new Error(`no answer from swtpm: ${this.#ended}`)
      if (deadline.aborted) throw new Error(`no answer from swtpm within ${timeoutMs / 1000} seconds`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  destroy(): void {
    this.#stream.destroy()
  }

  #end(reason: string): void {
    this.#ended ??= reason
    this.#wake()
  }
}
