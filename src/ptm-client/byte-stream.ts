/** The two kinds of stream under a connection: a Unix socket of our addon, and what Node's own modules give. */
import type { Duplex } from 'node:stream'
import { DescriptorSocket } from '../system/io/descriptor-socket.ts'
import { describeErrno, reasonOf } from '../system/reason.ts'

export interface ByteStream {
  write(bytes: Buffer): void
  close(): void
  /** Once, before anything can arrive. `onEnd` is told why nothing more comes. */
  listen(onData: (chunk: Buffer) => void, onEnd: (reason: string) => void): void
}

const CLOSED = 'it closed the connection'
/** How the other side's end is seen while something is written. */
const ENDS: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE'])

/** @param fd connected and non-blocking; it becomes the stream's */
export function unixStream(fd: number): ByteStream {
  const socket = new DescriptorSocket(fd)
  return {
    write(bytes) {
      socket.write(bytes)
    },
    close: () => socket.close(),
    listen(onData, onEnd) {
      socket.on('data', (chunk) => onData(chunk))
      socket.on('close', (errno) => {
        const { code, text } = describeErrno(-errno)
        onEnd(errno === 0 || ENDS.has(code) ? CLOSED : text)
      })
    },
  }
}

/** @param duplex connected */
export const nodeStream = (duplex: Duplex): ByteStream => ({
  write(bytes) {
    duplex.write(bytes)
  },
  close() {
    duplex.destroy()
  },
  listen(onData, onEnd) {
    duplex.on('data', onData)
    duplex.on('error', (error: NodeJS.ErrnoException) =>
      onEnd(ENDS.has(error.code ?? '') ? CLOSED : reasonOf(error)),
    )
    duplex.on('close', () => onEnd(CLOSED))
  },
})
