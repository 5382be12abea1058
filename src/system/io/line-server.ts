/** A listening socket whose clients send lines, and get lines. What they mean is not known here. */

import { closeSync } from 'node:fs'
import { guarded } from '../guard.ts'
import { DescriptorSocket } from './descriptor-socket.ts'
import { Listener } from './listener.ts'

const NEWLINE = 0x0a

/** Of lines that wait for the answer of one before them. Then their client waits. */
const MAX_WAITING = 16

/** One client, as what answers it sees it. */
export interface LineClient {
  /** Bytes that the client has not taken yet. */
  readonly pendingBytes: number
  /** Sends a line that is no answer. */
  send(line: string): void
  /** Sends the line when it is there; those that follow the request are answered meanwhile. */
  later(line: Promise<string>): void
}

/** What answers one client. */
export interface LineHandler {
  /** A line of the client, without its newline. The next one is given when this is answered. @returns the answer; undefined: none */
  line(text: string): string | undefined | Promise<string | undefined>
  /** A line was longer than it may be, and is not read. @returns the answer */
  tooLong(): string
  /** It sends no more. What it has asked is still answered. */
  end?(): void
  /** It has gone. */
  close?(): void
}

export interface LineServerOptions {
  /** Longest line, the newline not counted. */
  readonly maxLineBytes: number
  readonly serve: (client: LineClient) => LineHandler
  /** How many clients there may be at a time, and what one more is told before it is sent away; without: as many as come. */
  readonly limit?: { readonly clients: number; readonly refusal: string }
}

export class LineServer {
  readonly #listener: Listener
  readonly #clients = new Set<DescriptorSocket>()
  readonly #options: LineServerOptions

  /** Takes over `listenFd`. */
  constructor(listenFd: number, options: LineServerOptions) {
    this.#options = options
    this.#listener = new Listener(listenFd, (fd) => this.#accept(fd))
    this.#listener.resume()
  }

  /** Accepts no more clients; the lines that have been read are still answered. */
  stop(): void {
    this.#listener.close()
  }

  close(): void {
    this.#listener.close()
    for (const client of this.#clients) client.close()
    this.#clients.clear()
  }

  #accept(fd: number): void {
    const { limit } = this.#options
    const socket = new DescriptorSocket(fd, { halfOpen: true })
    if (limit !== undefined && this.#clients.size >= limit.clients) {
      send(socket, limit.refusal)
      socket.end()
      return
    }
    this.#clients.add(socket)
    this.#serve(socket)
  }

  #serve(socket: DescriptorSocket): void {
    const { maxLineBytes, serve } = this.#options
    const lines = new LineReader(maxLineBytes)
    let answered: Promise<unknown> = Promise.resolve()
    const pending = new Set<Promise<void>>()
    let waiting = 0
    const handler = serve({
      get pendingBytes() {
        return socket.pendingBytes
      },
      send: (line) => send(socket, line),
      later(line) {
        const sent = line.then((text) => send(socket, text)).finally(() => pending.delete(sent))
        pending.add(sent)
        guarded(sent)
      },
    })
    const readOrWait = (): void => {
      if (waiting > MAX_WAITING || socket.pendingBytes > 0) socket.pause()
      else socket.resume()
    }
    const answer = (line: string | undefined): void => {
      waiting++
      answered = answered.then(async () => {
        const text = line === undefined ? handler.tooLong() : await handler.line(line)
        if (text !== undefined) send(socket, text)
        waiting--
        readOrWait()
      })
      guarded(answered)
    }
    socket.on('flushed', readOrWait)
    socket.on('data', (chunk, fds) => {
      for (const stray of fds) closeSync(stray)
      for (const line of lines.read(chunk)) answer(line)
      readOrWait()
    })
    // It has asked everything, and waits for the answers.
    socket.on('end', () => {
      handler.end?.()
      guarded(answered.then(() => Promise.all(pending)).then(() => socket.end()))
    })
    socket.on('close', () => {
      this.#clients.delete(socket)
      handler.close?.()
    })
  }
}

function send(socket: DescriptorSocket, line: string): void {
  socket.write(Buffer.from(`${line}\n`))
}

/** Cuts what is received into lines. */
class LineReader {
  readonly #maxBytes: number
  #pending: Buffer = Buffer.alloc(0)
  /** The rest of a line that is too long. */
  #skipping = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @returns lines; undefined for one that is too long */
  *read(chunk: Buffer): Generator<string | undefined> {
    this.#pending = Buffer.concat([this.#pending, chunk])
    for (let end = this.#pending.indexOf(NEWLINE); end >= 0; end = this.#pending.indexOf(NEWLINE)) {
      const line = this.#pending.subarray(0, end)
      this.#pending = this.#pending.subarray(end + 1)
      if (this.#skipping) this.#skipping = false
      else yield line.length > this.#maxBytes ? undefined : line.toString('utf8')
    }
    if (this.#pending.length <= this.#maxBytes && !this.#skipping) return
    this.#pending = Buffer.alloc(0)
    if (!this.#skipping) yield undefined
    this.#skipping = true
  }
}
