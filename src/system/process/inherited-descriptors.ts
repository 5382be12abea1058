/** The descriptors that we were started with, which Node makes close-on-exec up to a number of some fifteen. */
import { readdirSync, readlinkSync } from 'node:fs'
import { native } from '../native.ts'

/**
 * Lets a child have them: those that `config` names, and others that are no part of Node itself, such as a lock that
 * whoever started us holds by one.
 */
export function passOnDescriptors(config: unknown): void {
  const strangers = readdirSync('/proc/self/fd').map(Number).filter(isForeign)
  // One that is not open is found out by whoever comes to use it.
  for (const fd of [...named(config), ...strangers]) if (fd > 2) native.setCloseOnExec(fd, false)
}

/** Wherever an option takes a descriptor, the configuration has `{ kind: 'fd', fd }`. */
function named(config: unknown): number[] {
  if (typeof config !== 'object' || config === null) return []
  const { kind, fd } = config as { kind?: unknown; fd?: unknown }
  const own = kind === 'fd' && typeof fd === 'number' ? [fd] : []
  return [...own, ...Object.values(config).flatMap(named)]
}

/** Node's own are pipes and such as have no file. */
function isForeign(fd: number): boolean {
  try {
    return !/^(anon_inode|pipe):/.test(readlinkSync(`/proc/self/fd/${fd}`))
  } catch {
    return false
  }
}
