/** Where log lines go. The log is opened once, and each line is written immediately. */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'
import { SwtpmError } from './errors.ts'
import { whyUnusable } from './process/inherited-descriptors.ts'
import { reasonOf } from './reason.ts'

export const STDERR = 2
const LOG_FILE_MODE = 0o600

/** What `--log` can name. */
export type LogTarget =
  | { readonly kind: 'stderr' }
  | { readonly kind: 'none' }
  | { readonly kind: 'fd'; readonly fd: number }
  | { readonly kind: 'file'; readonly path: string; readonly truncate: boolean }

/** An open log; `fd` may be given to a child as its standard error. */
export interface LogDestination {
  readonly fd: number
  /** No line is written. */
  readonly silent: boolean
  /** Whether it was opened here, and so is closed here. A descriptor that was handed in stays open. */
  readonly owned: boolean
}

export const stderrDestination: LogDestination = { fd: STDERR, silent: false, owned: false }

/**
 * Opens the log. A file is appended to or emptied, and created with mode 0600. It must not be a symbolic link: otherwise a
 * user who may write to the log directory could make a privileged TPM write elsewhere. The descriptor is close-on-exec.
 * @throws {SwtpmError} SWTPM_ERR_LOG
 */
export function openDestination(config: LogTarget): LogDestination {
  switch (config.kind) {
    case 'stderr':
      return stderrDestination
    case 'none':
      return { fd: openSync('/dev/null', constants.O_WRONLY), silent: true, owned: true }
    case 'fd':
      checkWritable(config.fd)
      return { fd: config.fd, silent: false, owned: false }
    case 'file': {
      const { O_WRONLY, O_CREAT, O_APPEND, O_TRUNC, O_NOFOLLOW } = constants
      const flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | (config.truncate ? O_TRUNC : 0)
      try {
        return { fd: openSync(config.path, flags, LOG_FILE_MODE), silent: false, owned: true }
      } catch (error) {
        const loop = (error as NodeJS.ErrnoException).code === 'ELOOP'
        const reason = loop ? 'it must not be a symbolic link' : reasonOf(error)
        throw new SwtpmError('SWTPM_ERR_LOG', `Cannot open log file "${config.path}": ${reason}`, {
          cause: error,
        })
      }
    }
  }
}

/** Fails now, and not at the first line. */
function checkWritable(fd: number): void {
  const reason = whyUnusable(fd, 'write')
  if (reason !== undefined)
    throw new SwtpmError('SWTPM_ERR_LOG', `Cannot use descriptor ${fd} for the log: ${reason}`)
}

/** Whether what is written to a descriptor arrives where standard error leads. */
export function isStderr(fd: number): boolean {
  if (fd === STDERR) return true
  try {
    const [log, stderr] = [fstatSync(fd), fstatSync(STDERR)]
    return log.dev === stderr.dev && log.ino === stderr.ino
  } catch {
    return false
  }
}

/**
 * Writes a whole line. A log that cannot be written must not stop a TPM, so what the kernel does not accept is dropped: the
 * reader has closed the pipe (EPIPE) or does not read it, or the disk is full.
 */
export function writeLine(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  let written = 0
  for (let attempts = 0; written < bytes.length && attempts < 10; attempts++) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EAGAIN' && code !== 'EINTR') return
    }
  }
}

export function closeDestination(destination: LogDestination): void {
  if (!destination.owned) return
  try {
    closeSync(destination.fd)
  } catch {
    // Closed already: nothing is lost.
  }
}
