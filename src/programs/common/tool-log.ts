/**
 * What a tool tells its user: plain lines to stdout and stderr, or both appended to a log file. Each line is written at
 * once, because libvirt shows the tail of the file when a tool fails, and because several tools append to one file.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from './tool-failure.ts'

export class ToolLog {
  readonly file: string | undefined
  readonly #out: number
  readonly #err: number

  /** @throws ToolFailure when the log file is a symbolic link or cannot be opened for appending */
  constructor(file?: string) {
    this.file = file
    if (file === undefined) {
      this.#out = 1
      this.#err = 2
      return
    }
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
    try {
      this.#out = openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640)
    } catch (error) {
      const loop = (error as NodeJS.ErrnoException).code === 'ELOOP'
      const reason = loop ? 'it must not be a symbolic link' : reasonOf(error)
      throw new ToolFailure(`Cannot open log file "${file}": ${reason}`, { cause: error })
    }
    this.#err = this.#out
  }

  info(line: string): void {
    writeLine(this.#out, line)
  }

  error(line: string): void {
    writeLine(this.#err, line)
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.#out)
  }
}

/** Without a reader (EPIPE) a tool still finishes what it began. */
function writeLine(fd: number, line: string): void {
  try {
    writeSync(fd, `${line}\n`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  }
}
