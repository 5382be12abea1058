/** Turns results of the native addon into errors. */
import { blame } from '../blame.ts'
import { Fault } from '../errors.ts'
import { describeErrno } from '../reason.ts'

/** An errno of a native function, with the properties of Node's own errors: `code: 'EADDRINUSE'`, `errno: -98`, `syscall`. */
export class SystemError extends Fault implements NodeJS.ErrnoException {
  readonly code: string
  readonly errno: number
  readonly syscall: string

  constructor(errno: number, action: string, path?: string) {
    const { code, text } = describeErrno(errno)
    const blamed = blame(code, path)
    super(`Cannot ${action}: ${text}${blamed === undefined ? '' : ` (${blamed})`}`)
    this.name = 'SystemError'
    this.code = code
    this.errno = errno
    this.syscall = action.split(' ', 1)[0] ?? ''
  }
}

/**
 * Returns a native result, or throws if it is an errno.
 * @param action what was tried, beginning with a verb: `listen on "/run/x"`. The verb becomes the error's `syscall`
 * @param path what it was tried on, so that the message can say which part of it is to blame
 * @throws SystemError `Cannot listen on "/run/x": address already in use`
 */
export function check(result: number, action: string, path?: string): number
export function check<T extends readonly unknown[]>(result: T | number, action: string, path?: string): T
export function check<T>(result: T | number, action: string, path?: string): T | number {
  if (typeof result === 'number' && result < 0) throw new SystemError(result, action, path)
  return result
}
