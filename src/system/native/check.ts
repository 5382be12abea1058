/** Turns results of the native addon into errors. */
import { describeErrno } from '../reason.ts'

/** An errno of a native function, with the properties of Node's own errors: `code: 'EADDRINUSE'`, `errno: -98`, `syscall`. */
export class SystemError extends Error implements NodeJS.ErrnoException {
  readonly code: string
  readonly errno: number
  readonly syscall: string

  constructor(errno: number, action: string) {
    const { code, text } = describeErrno(errno)
    super(`Cannot ${action}: ${text}`)
    this.name = 'SystemError'
    this.code = code
    this.errno = errno
    this.syscall = action.split(' ', 1)[0] ?? ''
  }
}

/**
 * Returns a native result, or throws if it is an errno.
 * @param action what was tried, beginning with a verb: `listen on "/run/x"`. The verb becomes the error's `syscall`
 * @throws SystemError `Cannot listen on "/run/x": address already in use`
 */
export function check(result: number, action: string): number
export function check<T extends readonly unknown[]>(result: T | number, action: string): T
export function check<T>(result: T | number, action: string): T | number {
  if (typeof result === 'number' && result < 0) throw new SystemError(result, action)
  return result
}
