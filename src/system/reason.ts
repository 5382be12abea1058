/** Why something failed, as a message tells it. Every program has the same words for the same errno. */
import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/**
 * The reason inside anything thrown, without Node's `ENOENT: …, open '…'` around it: `no such file or directory`.
 * Errors without an errno have their message as reason.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { errno } = error as NodeJS.ErrnoException
  // The ioctl package has errno as in C, Node its negative.
  if (typeof errno === 'number') return describeErrno(-Math.abs(errno)).text
  // Node has tried several addresses of one host; the first failure stands for all.
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0])
  return error.message
}

/** @param errno negative, as Node and the addon have it: -98 is `EADDRINUSE`, `address already in use` */
export function describeErrno(errno: number): { readonly code: string; readonly text: string } {
  const known = getSystemErrorMap().get(errno)
  if (known !== undefined) return { code: known[0], text: known[1] }
  // libuv has no words for some; their name, or their number, must do.
  const name = Object.entries(constants.errno).find(([, value]) => value === -errno)?.[0]
  return { code: name ?? `errno ${-errno}`, text: `system error ${name ?? -errno}` }
}
