/** What a client tool prints. Written at once: process.stdout would load more than the tool itself. */
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
      // A pipe that somebody else has made non-blocking is full: its reader needs a moment.
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      // The reader has gone, or there never was one; the verb has been executed nevertheless.
      else return
    }
  }
}
