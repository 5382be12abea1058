/**
 * A time limit for system calls that nothing can interrupt: an open(), ioctl() or read() on a device whose server hangs.
 *
 * The thread that waits in such a call cannot look at a clock, and a process whose thread waits there cannot exit by
 * itself, for it would wait for that thread. So a second thread keeps the time, and ends the process with SIGALRM, which
 * is what alarm(2) would do. The kernel lets go of a call that the device's server has not begun with; one that it has
 * begun with, the kernel does not give up (fuse), so the process stays until the server answers or ends, but has said why.
 */
import { Worker } from 'node:worker_threads'

const IDLE = 0
const ARMED = 1
const MESSAGE_BYTES = 1024

// A string because it runs in a thread of its own, where nothing of this bundle is.
const TIMEKEEPER = `
const { workerData: { state, message } } = require('node:worker_threads')
for (;;) {
  Atomics.wait(state, 0, ${IDLE})
  if (Atomics.wait(state, 0, ${ARMED}, Atomics.load(state, 1)) !== 'timed-out') continue
  require('node:fs').writeSync(2, message.subarray(0, Atomics.load(state, 2)))
  process.kill(process.pid, 'SIGALRM')
}`

export class Watchdog {
  /** Whether armed; the limit in milliseconds; the length of the message. */
  readonly #state = new Int32Array(new SharedArrayBuffer(12))
  readonly #message = new Uint8Array(new SharedArrayBuffer(MESSAGE_BYTES))

  constructor() {
    const workerData = { state: this.#state, message: this.#message }
    new Worker(TIMEKEEPER, { eval: true, workerData }).unref()
  }

  /**
   * Runs `call`. If it has not returned after `timeoutMs`, prints `message` and ends the process by SIGALRM (the shell
   * shows 142).
   */
  guard<T>(timeoutMs: number, message: string, call: () => T): T {
    const { written } = new TextEncoder().encodeInto(`${message}\n`, this.#message)
    Atomics.store(this.#state, 2, written)
    Atomics.store(this.#state, 1, timeoutMs)
    this.#set(ARMED)
    try {
      return call()
    } finally {
      this.#set(IDLE)
    }
  }

  #set(value: typeof IDLE | typeof ARMED): void {
    Atomics.store(this.#state, 0, value)
    Atomics.notify(this.#state, 0)
  }
}
