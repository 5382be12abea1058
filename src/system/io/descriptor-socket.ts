/**
 * A connected Unix or TCP socket that can carry descriptors (SCM_RIGHTS), which Node's own sockets cannot.
 *
 * Non-blocking: reads when readable, queues what cannot be written yet. Owns its descriptor and closes it.
 */
import { EventEmitter } from 'node:events'
import { closeSync } from 'node:fs'
import { noteActivity } from '../activity.ts'
import { guardedCallback } from '../guard.ts'
import { native } from '../native/load.ts'
import { READABLE, WRITABLE } from '../native/types.ts'

const EAGAIN = -11
const EINTR = -4
const READ_SIZE = 64 * 1024
/** Shared by all sockets: each copies what it has received before anything else can receive. */
const receiveBuffer = Buffer.allocUnsafeSlow(READ_SIZE)

interface Outgoing {
  bytes: Buffer
  fds: readonly number[]
}

export interface DescriptorSocketEvents {
  /** The bytes of one receive and the descriptors that came with them, which are the listener's to close. */
  data: [chunk: Buffer, fds: number[]]
  /** The peer sends no more but may still read. Emitted once, and only with `halfOpen`. */
  end: []
  /** The kernel has taken everything that was written, after it could not at once. */
  flushed: []
  /** The peer has closed, or the connection failed. Emitted once, as the last event. */
  close: [errno: number]
}

export class DescriptorSocket extends EventEmitter<DescriptorSocketEvents> {
  readonly fd: number
  readonly #poller: InstanceType<typeof native.Poller>
  readonly #queue: Outgoing[] = []
  readonly #halfOpen: boolean
  #open = true
  #paused = false
  #ended = false
  #ending = false
  /** The errno of the send that failed, 0 while sending works. */
  #sendError = 0

  /**
   * Takes over `fd`, a connected non-blocking socket.
   * @param options `halfOpen`: end of file emits `end` and leaves the other direction open
   */
  constructor(fd: number, { halfOpen = false }: { halfOpen?: boolean } = {}) {
    super()
    this.fd = fd
    this.#halfOpen = halfOpen
    const onReady = (error: number, readable: boolean, writable: boolean): void => {
      noteActivity()
      if (writable) {
        this.#flush()
        if (this.#open && this.#queue.length === 0) this.emit('flushed')
      }
      if (readable && this.#open && !this.#paused) this.#receive()
      if (error < 0) this.#finish(-error)
    }
    // Callbacks run in the async context that created the socket, so that log lines carry its TPM's name.
    this.#poller = new native.Poller(fd, guardedCallback(onReady))
    this.#poller.start(READABLE)
  }

  /** Its descriptor can be used. */
  get open(): boolean {
    return this.#open
  }

  /** Bytes not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.#queue.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  /**
   * Sends `bytes`, at once or when the peer makes room, with `fds` on the first byte. The caller keeps the descriptors,
   * and closes them when the bytes have been sent.
   * @returns true when the kernel has taken all bytes already
   */
  write(bytes: Buffer, fds: readonly number[] = []): boolean {
    if (!this.#open || this.#sendError !== 0) return false
    this.#queue.push({ bytes, fds })
    this.#flush()
    return this.#sendError === 0 && this.#queue.length === 0
  }

  /** Reads nothing more until {@link resume}: what the peer sends waits in the kernel, and the peer with it. */
  pause(): void {
    this.#paused = true
    this.#watch()
  }

  resume(): void {
    this.#paused = false
    this.#watch()
  }

  /** Closes when the kernel has taken all that was written. */
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

  /** Emits what has arrived by now, without waiting for the event loop. */
  drain(): void {
    while (this.#open && !this.#ended && this.#receive()) {}
  }

  /** @returns false when there is nothing to read at the moment */
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
        // What the peer sent before it closed is still to be read, and end of file after that.
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
    const mask = (this.#ended || this.#paused ? 0 : READABLE) | (this.#queue.length > 0 ? WRITABLE : 0)
    if (mask === 0) this.#poller.stop()
    else this.#poller.start(mask)
  }

  #finish(errno: number): void {
    if (!this.#open) return
    this.close()
    this.emit('close', errno)
  }
}
