/** A stream socket on which one side asks and waits for a known number of bytes, never without a time limit. */
import { SwtpmError } from '../system/errors.ts'
import { fileKind } from '../system/file-kind.ts'
import { check } from '../system/native/check.ts'
import { native } from '../system/native/load.ts'
import { reasonOf } from '../system/reason.ts'
import { accessHint } from './access-hint.ts'
import { type ByteStream, nodeStream, unixStream } from './byte-stream.ts'
import { describeAddress, type SocketAddress } from './tpm-address.ts'

/** Longest path of a Unix socket in bytes. @see unix(7) */
const MAX_UNIX_PATH = 107
/** Pause before another try when the server's queue of connections is full, in milliseconds. */
const RETRY_MS = 20

interface Waiter {
  readonly wanted: number
  done(): void
}

export class SocketConnection {
  /** Of the other side, for messages. */
  readonly name: string
  readonly #stream: ByteStream
  #received: Buffer = Buffer.alloc(0)
  #ended: string | undefined
  #waiter: Waiter | undefined

  /**
   * @param stream connected already
   * @param name of the other side, for messages
   */
  constructor(stream: ByteStream, name: string) {
    this.#stream = stream
    this.name = name
    stream.listen(
      (chunk) => {
        this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
        if (this.#waiter !== undefined && this.#received.length >= this.#waiter.wanted) this.#waiter.done()
      },
      (reason) => this.#end(reason),
    )
  }

  /** @throws SwtpmError SWTPM_ERR_SOCKET */
  static async connect(address: SocketAddress, timeoutMs: number): Promise<SocketConnection> {
    const name = describeAddress(address)
    if (address.kind === 'unix' && Buffer.byteLength(address.path) > MAX_UNIX_PATH) {
      throw failure(`Socket path is too long: "${address.path}" has more than ${MAX_UNIX_PATH} bytes`)
    }
    const deadline = Date.now() + timeoutMs
    for (;;) {
      try {
        return new SocketConnection(await openSocket(address, deadline - Date.now()), name)
      } catch (error) {
        // A Unix socket whose queue is full refuses at once instead of letting the client wait.
        const queueFull = (error as NodeJS.ErrnoException).code === 'EAGAIN'
        if (!queueFull || Date.now() + RETRY_MS >= deadline) {
          throw failure(`Could not connect to ${name}: ${connectReason(error, address)}`, error)
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  /** Forgets what has arrived unasked. */
  discard(): void {
    this.#received = Buffer.alloc(0)
  }

  send(bytes: Buffer): void {
    this.#stream.write(bytes)
  }

  /**
   * @param what the request that is being answered, for the message
   * @throws SwtpmError SWTPM_ERR_SOCKET when the other side goes away or `timeoutMs` have passed
   */
  async receive(count: number, timeoutMs: number, what: string): Promise<Buffer> {
    if (this.#received.length < count && this.#ended === undefined) await this.#wait(count, timeoutMs)
    if (this.#received.length >= count) {
      const bytes = this.#received.subarray(0, count)
      this.#received = this.#received.subarray(count)
      return bytes
    }
    if (this.#ended !== undefined) {
      throw failure(`Could not execute ${what}: no answer from ${this.name}: ${this.#ended}`)
    }
    throw failure(
      `Could not execute ${what}: no answer from ${this.name} within ${timeoutMs / 1000} s; ` +
        'it may be busy with a TPM command or with another client',
    )
  }

  close(): void {
    this.#stream.close()
  }

  #wait(wanted: number, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#waiter?.done(), timeoutMs)
      this.#waiter = {
        wanted,
        done: () => {
          clearTimeout(timer)
          this.#waiter = undefined
          resolve()
        },
      }
    })
  }

  #end(reason: string): void {
    this.#ended ??= reason
    this.#waiter?.done()
  }
}

async function openSocket(address: SocketAddress, timeoutMs: number): Promise<ByteStream> {
  // Not by node:net, whose loading takes longer than everything else that a client does.
  if (address.kind === 'unix') return unixStream(check(native.connectUnix(address.path), 'connect'))
  const { connect } = await import('node:net')
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.host, port: address.port, noDelay: true })
    const timer = setTimeout(
      () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
      timeoutMs,
    )
    const stopWaiting = (): void => {
      clearTimeout(timer)
      socket.removeAllListeners('error').removeAllListeners('connect')
    }
    socket.once('connect', () => {
      stopWaiting()
      resolve(nodeStream(socket))
    })
    socket.once('error', (error) => {
      stopWaiting()
      reject(error)
    })
  })
}

function connectReason(error: unknown, address: SocketAddress): string {
  // One error for each address of a host that has several.
  const first = (error instanceof AggregateError ? error.errors[0] : error) as NodeJS.ErrnoException
  const kind = address.kind === 'unix' ? fileKind(address.path) : undefined
  if (kind === 'a character device') return 'it is a device; name it by --tpm-device'
  if (kind !== undefined && kind !== 'a Unix socket') return `it is ${kind}, not a socket`
  switch (first.code) {
    case 'ENOENT':
      return 'there is no such file; has swtpm been started with this path?'
    case 'ECONNREFUSED':
      return 'connection refused; nothing listens there, so swtpm has ended or has not been started'
    case 'EPROTOTYPE':
      return 'it is a socket of another kind than those of swtpm'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host "${address.kind === 'tcp' ? address.host : ''}" is unknown`
    case 'EAGAIN':
      return 'too many clients wait already'
    case 'ETIMEDOUT':
      return 'no answer'
    default: {
      if (address.kind === 'tcp') return reasonOf(first)
      // Node names the address, not the path.
      const reason = reasonOf(Object.assign(first, { path: address.path }))
      const isClosed = first.code === 'EACCES' || first.code === 'EPERM'
      return isClosed ? `${reason}; ${accessHint(address.path)}` : reason
    }
  }
}

const failure = (message: string, cause?: unknown): SwtpmError =>
  new SwtpmError('SWTPM_ERR_SOCKET', message, { cause })
