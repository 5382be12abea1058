/**
 * What a tool tells its user: plain lines to stdout and stderr, or both appended to a log file. Each line is written at
 * once, because libvirt shows the tail of the file when a tool fails, and because several tools append to one file. Errors
 * go to stderr as well: who has started the tool by hand does not look into the file.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { isStderr } from '../../system/log-destination.ts'
import { reasonOf } from '../../system/reason.ts'
import { printError, write } from './output.ts'
import { ToolFailure } from './tool-failure.ts'

const STDOUT = 1

export class ToolLog {
  readonly file: string | undefined
  /** Nothing but errors and what was asked for is printed; a log file has everything. */
  readonly quiet: boolean
  /** Of the log file; undefined where there is none. */
  readonly #fd: number | undefined

  /** @throws ToolFailure when the log file is a symbolic link or cannot be opened for appending */
  constructor(file?: string, quiet = false) {
    this.file = file
    this.quiet = quiet
    if (file === undefined) return
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
    try {
      this.#fd = openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640)
    } catch (error) {
      const loop = (error as NodeJS.ErrnoException).code === 'ELOOP'
      const reason = loop ? 'it must not be a symbolic link' : reasonOf(error)
      throw new ToolFailure(`Cannot open log file "${file}": ${reason}`, { cause: error })
    }
  }

  /** A line that cannot be written does not keep the tool from finishing what it has begun. */
  info(line: string): void {
    if (this.#fd !== undefined || !this.quiet) this.print(line)
  }

  /** What the user has asked for. */
  print(line: string): void {
    write(this.#fd ?? STDOUT, `${line}\n`)
  }

  error(line: string): void {
    if (this.#fd !== undefined) write(this.#fd, `${line}\n`)
    this.errorElsewhere(line)
  }

  /** An error that is in the log already: on standard error, where that is another place. */
  errorElsewhere(line: string): void {
    if (this.#fd === undefined || !isStderr(this.#fd)) printError(`${line}\n`)
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
  }
}
