/** Why something failed, as a message tells it. Every program has the same words for the same errno. */
import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import { blame } from './blame.ts'

/**
 * The reason inside anything thrown, without Node's `ENOENT: …, open '…'` around it: `no such file or directory`. Where the error
 * names a path, the part of it that is to blame follows: `permission denied (user tss may not enter "/srv")`.
 * Errors without an errno have their message as reason.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { errno, path } = error as NodeJS.ErrnoException
  if (typeof errno === 'number') {
    // The ioctl package has errno as in C, Node its negative.
    const { code, text } = describeErrno(-Math.abs(errno))
    const blamed = blame(code, path)
    return blamed === undefined ? text : `${text} (${blamed})`
  }
  // Node has tried several addresses of one host; the first failure stands for all.
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0])
  return error.message
}

/** Words for what libuv has none for. @see errno(3), with the texts of strerror(3) */
const MORE_TEXTS: Readonly<Record<string, string>> = {
  EDQUOT: 'disk quota exceeded',
  ENOKEY: 'required key not available',
  ENOLCK: 'no locks available',
  ENOMEDIUM: 'no medium found',
  ESTALE: 'stale file handle',
  EUCLEAN: 'structure needs cleaning',
}

/** @param errno negative, as Node and the addon have it: -98 is `EADDRINUSE`, `address already in use` */
export function describeErrno(errno: number): { readonly code: string; readonly text: string } {
  const known = getSystemErrorMap().get(errno)
  if (known !== undefined) return { code: known[0], text: known[1] }
  const name = Object.entries(constants.errno).find(([, value]) => value === -errno)?.[0]
  const text = name === undefined ? undefined : MORE_TEXTS[name]
  // The name, or the number, must do.
  return { code: name ?? `errno ${-errno}`, text: text ?? `system error ${name ?? -errno}` }
}
