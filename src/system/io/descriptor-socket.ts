/**
 * A connected Unix or TCP socket that can carry descriptors (SCM_RIGHTS), which Node's own sockets cannot.
 *
 * Non-blocking: reads when readable, queues what cannot be written yet. Owns its descriptor and closes it.
 */
import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { closeSync } from 'node:fs'
import { native, READABLE, WRITABLE } from '../native.ts'

const EAGAIN = -11
const EINTR = -4
const READ_SIZE = 64 * 1024
/** For all sockets: what is received is copied out before anything else happens. */
const receiveBuffer = Buffer.allocUnsafeSlow(READ_SIZE)

interface Outgoing {
  bytes: Buffer
  fds: readonly number[]
}

export interface DescriptorSocketEvents {
  /** The bytes of one receive and the descriptors that came with them, which are the listener's to close. */
  data: [chunk: Buffer, fds: number[]]
  /** The peer sends no more, but may still read: half-open sockets only, and then once. */
  end: []
  /** The peer is gone or the connection failed; emitted once, after which nothing more comes. */
  close: [errno: number]
}

export class DescriptorSocket extends EventEmitter<DescriptorSocketEvents> {
  readonly fd: number
  readonly #poller: InstanceType<typeof native.Poller>
  readonly #queue: Outgoing[] = []
  readonly #halfOpen: boolean
  #open = true
  #ended = false
  #ending = false
  /** Why nothing can be sent any more. */
  #sendError = 0

  /**
   * Takes over `fd`, a connected non-blocking socket.
   * @param options `halfOpen`: end of file is told by `end` and leaves the other direction open
   */
  constructor(fd: number, { halfOpen = false }: { halfOpen?: boolean } = {}) {
    super()
    this.fd = fd
    this.#halfOpen = halfOpen
    const onReady = (error: number, readable: boolean, writable: boolean): void => {
      if (writable) this.#flush()
      if (readable && this.#open) this.#receive()
      if (error < 0) this.#finish(-error)
    }
    // What happens here is done for whoever made this socket.
    this.#poller = new native.Poller(fd, AsyncResource.bind(onReady))
    this.#poller.start(READABLE)
  }

  /** Bytes not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.#queue.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  /**
   * Sends `bytes`, now or when the peer makes room, with `fds` on its first byte. The descriptors stay the caller's,
   * to be closed once the send is known to be done: see the returned flag.
   * @returns true when all was handed to the kernel at once
   */
  write(bytes: Buffer, fds: readonly number[] = []): boolean {
    if (!this.#open || this.#sendError !== 0) return false
    this.#queue.push({ bytes, fds })
    this.#flush()
    return this.#sendError === 0 && this.#queue.length === 0
  }

  /** Closes when everything written has been handed to the kernel. */
  end(): void {
    this.#ending = true
    this.#flush()
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#poller.close()
    closeSync(this.fd)
  }

  /** Emits what has arrived by now, without waiting for the event loop's next look. */
  drain(): void {
    while (this.#open && !this.#ended && this.#receive()) {}
  }

  /** @returns false when there is nothing to be read at the moment */
  #receive(): boolean {
    const fds: number[] = []
    const n = native.receiveMessage(this.fd, receiveBuffer, 0, READ_SIZE, fds)
    if (n === EINTR) return true
    if (n === EAGAIN) return false
    if (n === 0 && this.#halfOpen && this.#sendError === 0) {
      this.#ended = true
      this.#watch()
      this.emit('end')
    } else if (n <= 0) {
      this.#finish(this.#sendError || -n)
    } else {
      this.emit('data', Buffer.from(receiveBuffer.subarray(0, n)), fds)
    }
    return true
  }

  #flush(): void {
    while (this.#open) {
      const head = this.#queue[0]
      if (head === undefined) break
      const n = native.sendMessage(this.fd, head.bytes, 0, head.bytes.length, [...head.fds])
      if (n === EINTR) continue
      if (n === EAGAIN) break
      if (n < 0) {
        // What the peer sent before it went is still to be read, and its end behind that.
        this.#sendError = -n
        this.#queue.length = 0
        if (this.#ended) this.#finish(-n)
        else this.#watch()
        return
      }
      head.fds = []
      if (n === head.bytes.length) this.#queue.shift()
      else head.bytes = head.bytes.subarray(n)
    }
    if (this.#ending && this.#queue.length === 0) this.#finish(0)
    else this.#watch()
  }

  #watch(): void {
    if (!this.#open) return
    const mask = (this.#ended ? 0 : READABLE) | (this.#queue.length > 0 ? WRITABLE : 0)
    if (mask === 0) this.#poller.stop()
    else this.#poller.start(mask)
  }

  #finish(errno: number): void {
    if (!this.#open) return
    this.close()
    this.emit('close', errno)
  }
}
