/** What a tool prints. Written with write(2): loading process.stdout takes longer than the rest of a small tool. */
import { writeSync } from 'node:fs'

export const printOut = (text: string): void => write(1, text)
export const printError = (text: string): void => write(2, text)

function write(fd: number, text: string): void {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Another process has made the pipe non-blocking, and it is full: its reader needs a moment.
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      // There is no reader. What the tool was called for goes on without one.
      else return
    }
  }
}
