/** The fleet's socket: takes requests, a line each, and answers them in order. Clients do not wait for each other. */

import { closeSync } from 'node:fs'
import { guarded } from '../../../system/guard.ts'
import { DescriptorSocket } from '../../../system/io/descriptor-socket.ts'
import { Listener } from '../../../system/io/listener.ts'
import { reasonOf } from '../../../system/reason.ts'
import {
  decodeRequest,
  encodeLine,
  type FleetAnswer,
  type FleetRequest,
  MAX_LINE_BYTES,
} from './fleet-protocol.ts'

const NEWLINE = 0x0a

export type Answerer = (request: FleetRequest) => Promise<FleetAnswer>

/** Of requests that wait for the answer of one before them. Then their client waits. */
const MAX_WAITING = 16

export class FleetServer {
  readonly #listener: Listener
  readonly #clients = new Set<DescriptorSocket>()
  readonly #answer: Answerer

  /** Takes over `listenFd`. */
  constructor(listenFd: number, answer: Answerer) {
    this.#answer = answer
    this.#listener = new Listener(listenFd, (fd) => this.#serve(fd))
    this.#listener.resume()
  }

  /** Accepts no more clients; the requests that have been read are still answered. */
  stop(): void {
    this.#listener.close()
  }

  close(): void {
    this.#listener.close()
    for (const client of this.#clients) client.close()
    this.#clients.clear()
  }

  #serve(fd: number): void {
    const socket = new DescriptorSocket(fd, { halfOpen: true })
    this.#clients.add(socket)
    let pending: Buffer = Buffer.alloc(0)
    let answered = Promise.resolve()
    let waiting = 0
    const readOrWait = (): void => {
      if (waiting > MAX_WAITING || socket.pendingBytes > 0) socket.pause()
      else socket.resume()
    }
    const answer = (answer: () => FleetAnswer | Promise<FleetAnswer>): void => {
      waiting++
      answered = answered.then(async () => {
        socket.write(Buffer.from(encodeLine(await answer())))
        waiting--
        readOrWait()
      })
    }
    socket.on('flushed', readOrWait)
    socket.on('data', (chunk, fds) => {
      for (const stray of fds) closeSync(stray)
      pending = Buffer.concat([pending, chunk])
      for (let end = pending.indexOf(NEWLINE); end >= 0; end = pending.indexOf(NEWLINE)) {
        const line = pending.toString('utf8', 0, end)
        pending = pending.subarray(end + 1)
        answer(() => this.#answerLine(line))
      }
      if (pending.length > MAX_LINE_BYTES) {
        pending = Buffer.alloc(0)
        answer(() => refusal(`a request is longer than ${MAX_LINE_BYTES} bytes`))
        guarded(answered.then(() => socket.end()))
      }
      readOrWait()
    })
    // It has asked everything, and waits for the answers.
    socket.on('end', () => guarded(answered.then(() => socket.end())))
    socket.on('close', () => this.#clients.delete(socket))
  }

  async #answerLine(line: string): Promise<FleetAnswer> {
    let request: FleetRequest
    try {
      request = decodeRequest(line)
    } catch (error) {
      return refusal(`a request cannot be read: ${reasonOf(error)}`)
    }
    return this.#answer(request)
  }
}

const refusal = (error: string): FleetAnswer => ({ ok: false, error })
