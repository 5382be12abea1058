/** Descriptors that this program was started with. Node makes the first fifteen or so close-on-exec when it starts. */
import { readdirSync, readlinkSync } from 'node:fs'
import { native } from '../native.ts'

/**
 * Lets a child inherit them: those that `config` names, and others that are not Node's own. One of those may hold a lock
 * for the program that started this one.
 */
export function passOnDescriptors(config: unknown): void {
  const foreign = readdirSync('/proc/self/fd').map(Number).filter(isForeign)
  // Errors are ignored: a descriptor that is not open is reported where it is used.
  for (const fd of [...named(config), ...foreign]) if (fd > 2) native.setCloseOnExec(fd, false)
}

/** The descriptors of all `{ kind: 'fd', fd }` entries: the form in which options take a descriptor. */
function named(config: unknown): number[] {
  if (typeof config !== 'object' || config === null) return []
  const { kind, fd } = config as { kind?: unknown; fd?: unknown }
  const own = kind === 'fd' && typeof fd === 'number' ? [fd] : []
  return [...own, ...Object.values(config).flatMap(named)]
}

/** Node's own descriptors are pipes, or have no file (epoll, eventfd). */
function isForeign(fd: number): boolean {
  try {
    return !/^(anon_inode|pipe):/.test(readlinkSync(`/proc/self/fd/${fd}`))
  } catch {
    return false
  }
}
