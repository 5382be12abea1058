/** A control channel that answers what a test tells it to, and keeps what it was sent. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What to do with one received chunk. */
export type Reaction = (socket: Socket, received: Buffer) => void

export const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex')

/** Answers each chunk with the next of `answers`, written in one piece. */
export const answering = (...answers: readonly string[]): Reaction => {
  let next = 0
  return (socket) => void socket.write(hex(answers[next++] ?? ''))
}

export class FakeControlServer {
  readonly path: string
  readonly received: Buffer[] = []
  readonly #directory = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(react: Reaction) {
    this.path = join(this.#directory, 'control')
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        this.received.push(chunk)
        react(socket, chunk)
      })
    })
  }

  static start(react: Reaction): Promise<FakeControlServer> {
    const fake = new FakeControlServer(react)
    return new Promise((resolve) => fake.#server.listen(fake.path, () => resolve(fake)))
  }

  /** All bytes so far, in hexadecimal. */
  get bytes(): string {
    return Buffer.concat(this.received).toString('hex')
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
