/** A listening socket that accepts connections one by one. While it is paused, they wait in the kernel's backlog. */
import { closeSync } from 'node:fs'
import { noteActivity } from '../activity.ts'
import { guardedCallback } from '../guard.ts'
import { native } from '../native/load.ts'
import { READABLE } from '../native/types.ts'

/** EMFILE, ENFILE, ENOBUFS, ENOMEM. */
const OUT_OF_RESOURCES: ReadonlySet<number> = new Set([-24, -23, -105, -12])
const BACK_OFF_MS = 100

export class Listener {
  readonly fd: number
  readonly #poller: InstanceType<typeof native.Poller>
  readonly #onConnection: (fd: number) => void
  #accepting = false
  #open = true
  #backOff: NodeJS.Timeout | undefined

  /** Takes over `fd`. Accepts nothing until {@link resume}. Connections arrive non-blocking and close-on-exec. */
  constructor(fd: number, onConnection: (fd: number) => void) {
    this.fd = fd
    this.#onConnection = onConnection
    native.setNonBlocking(fd, true)
    this.#poller = new native.Poller(
      fd,
      guardedCallback(() => this.#accept()),
    )
  }

  resume(): void {
    clearTimeout(this.#backOff)
    if (!this.#open || this.#accepting) return
    this.#accepting = true
    this.#poller.start(READABLE)
  }

  pause(): void {
    clearTimeout(this.#backOff)
    if (!this.#accepting) return
    this.#accepting = false
    this.#poller.stop()
  }

  close(): void {
    if (!this.#open) return
    this.pause()
    this.#open = false
    this.#poller.close()
    closeSync(this.fd)
  }

  #accept(): void {
    if (!this.#accepting) return
    noteActivity()
    const fd = native.accept(this.fd, true)
    // Negative: the client has closed already, or another process has accepted it. Wait for the next one.
    if (fd >= 0) this.#onConnection(fd)
    else if (OUT_OF_RESOURCES.has(fd)) this.#backOffForAWhile()
  }

  /** The client stays in the backlog, and would be reported again at once. */
  #backOffForAWhile(): void {
    this.pause()
    this.#backOff = setTimeout(() => this.resume(), BACK_OFF_MS).unref()
  }
}
