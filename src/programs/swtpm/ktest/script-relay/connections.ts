/** The connections that one half of the relay has, by their numbers. */
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { encodeFrame, type Frame } from './frames.ts'

export class Connections {
  readonly #channel: Writable
  readonly #sockets = new Map<number, Socket>()

  constructor(channel: Writable) {
    this.#channel = channel
  }

  add(number: number, socket: Socket): void {
    this.#sockets.set(number, socket)
    socket.on('data', (bytes) => this.send({ on: number, bytes: bytes.toString('base64') }))
    socket.on('end', () => this.send({ end: number }))
    // A connection that fails is closed, and that is all that the other side can learn.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#sockets.delete(number)) this.send({ close: number })
    })
  }

  send(frame: Frame): void {
    this.#channel.write(encodeFrame(frame))
  }

  /** What the other half says of a connection that there is. */
  take(frame: Frame): void {
    if ('on' in frame) this.#sockets.get(frame.on)?.write(Buffer.from(frame.bytes, 'base64'))
    else if ('end' in frame) this.#sockets.get(frame.end)?.end()
    else if ('close' in frame) {
      const socket = this.#sockets.get(frame.close)
      this.#sockets.delete(frame.close)
      // What it has been sent is to arrive.
      socket?.destroySoon()
    }
  }

  closeAll(): void {
    for (const socket of this.#sockets.values()) socket.destroy()
    this.#sockets.clear()
  }
}
