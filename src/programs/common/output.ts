/** What a program prints. Written with write(2): loading process.stdout takes longer than the rest of a small tool. */
import { writeSync } from 'node:fs'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from './tool-failure.ts'

/**
 * Prints what the program was called for. Where its reader has gone, what else it was called for goes on.
 * @throws ToolFailure when it cannot be written: the disk is full
 */
export function printOut(text: string | Uint8Array): void {
  const failure = write(1, text)
  if (failure !== undefined && failure.code !== 'EPIPE')
    throw new ToolFailure(`Cannot write to standard output: ${reasonOf(failure)}`, { cause: failure })
}

/** Prints a message. Where it cannot be written there is no place to say so. */
export function printError(text: string): void {
  write(2, text)
}

/** Writes all of it. @returns why it could not be written */
export function write(fd: number, text: string | Uint8Array): NodeJS.ErrnoException | undefined {
  let rest = Buffer.from(text as string)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const failure = error as NodeJS.ErrnoException
      if (failure.code !== 'EAGAIN') return failure
      // Another process has made the pipe non-blocking, and it is full: its reader needs a moment.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
  return undefined
}
