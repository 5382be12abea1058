/** A socket connection that tests write bytes to and read bytes from, with time-outs instead of hangs. */
import { connect, type Socket } from 'node:net'

const TIMEOUT_MS = 60_000

export class RawConnection {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #ended = false
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    const end = (): void => {
      this.#ended = true
      this.#wake()
    }
    socket.on('close', end)
    socket.on('end', end)
    socket.on('error', end)
  }

  /** @param address a Unix socket's path, or a TCP port on 127.0.0.1 */
  static open(address: string | number): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = typeof address === 'string' ? connect(address) : connect(address, '127.0.0.1')
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RawConnection(socket))
      })
    })
  }

  /** A connection that exists already. */
  static on(socket: Socket): RawConnection {
    return new RawConnection(socket)
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes.replace(/\s+/g, ''), 'hex') : bytes)
  }

  /** Exactly `count` bytes. @throws when the connection ends or nothing comes for 10 s */
  async read(count: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= count, `${count} bytes`)
    if (this.#received.length < count) {
      throw new Error(`the connection ended after ${this.#received.length} of ${count} bytes`)
    }
    const bytes = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return bytes
  }

  /** One TPM response, by its size field. */
  async readResponse(): Promise<Buffer> {
    const header = await this.read(10)
    return Buffer.concat([header, await this.read(header.readUInt32BE(2) - 10)])
  }

  /** One TPM command and its response. */
  async exchange(command: Uint8Array): Promise<Buffer> {
    this.write(command)
    return this.readResponse()
  }

  /** What has arrived and was not read, once the peer has closed. */
  async readToEnd(): Promise<Buffer> {
    await this.#until(() => false, 'end of file')
    return this.#received
  }

  get unread(): number {
    return this.#received.length
  }

  close(): void {
    this.socket.destroy()
  }

  async #until(done: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + TIMEOUT_MS
    while (!done() && !this.#ended) {
      const left = deadline - Date.now()
      if (left <= 0)
        throw new Error(`waited ${TIMEOUT_MS} ms for ${what}, have ${this.#received.length} bytes`)
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        timer = setTimeout(resolve, left)
      })
      clearTimeout(timer)
    }
  }
}
