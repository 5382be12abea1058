/** Descriptors that this program was started with. Node makes the first fifteen or so close-on-exec when it starts. */
import { constants, fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { native } from '../native/load.ts'

/**
 * Lets a child inherit them: those that `config` names, and others that are not Node's own. One of those may hold a lock
 * for the program that started this one.
 */
export function passOnDescriptors(config: unknown): void {
  const foreign = openDescriptors().filter(isForeign)
  // Errors are ignored: a descriptor that is not open is reported where it is used.
  for (const fd of [...namedDescriptors(config), ...foreign]) if (fd > 2) native.setCloseOnExec(fd, false)
}

/** The descriptors of all `{ kind: 'fd', fd }` entries: the form in which options take a descriptor. */
export function namedDescriptors(config: unknown): number[] {
  if (typeof config !== 'object' || config === null) return []
  const { kind, fd } = config as { kind?: unknown; fd?: unknown }
  const own = kind === 'fd' && typeof fd === 'number' ? [fd] : []
  return [...own, ...Object.values(config).flatMap(namedDescriptors)]
}

/** Node's own descriptors are pipes, or have no file (epoll, eventfd). */
const isForeign = (fd: number): boolean => !/^(anon_inode|pipe):|^$/.test(fileOf(fd))

/** Whether this program was started with it: it is open, and not by Node for itself. Ask before the program opens something. */
export function isHandedIn(fd: number): boolean {
  try {
    fstatSync(fd)
  } catch {
    return false
  }
  const file = fileOf(fd)
  return !file.startsWith('anon_inode:') && !(file.startsWith('pipe:') && isNodesPipe(file))
}

/**
 * Node has both ends of each of its pipes. So it has of a pipe that was handed in, if the program that started this one left its
 * own end open; then that is a pipe in blocking mode besides the one that Node has.
 */
function isNodesPipe(pipe: string): boolean {
  const blocking = new Map<string, boolean[]>()
  for (const fd of openDescriptors()) {
    const file = fileOf(fd)
    if (file.startsWith('pipe:')) blocking.set(file, [...(blocking.get(file) ?? []), !isNonBlocking(fd)])
  }
  const bothEnds = [...blocking].filter(([, ends]) => ends.length > 1)
  const isBlocking = bothEnds.filter(([, ends]) => ends.every(Boolean)).map(([file]) => file)
  return bothEnds.some(([file]) => file === pipe) && !(isBlocking.length > 1 && isBlocking.includes(pipe))
}

/** The access mode and the flags that open(2) takes; undefined where /proc is not mounted. */
export function fileFlags(fd: number): number | undefined {
  try {
    const text = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
    return text === undefined ? undefined : Number.parseInt(text, 8)
  } catch {
    return undefined
  }
}

const isNonBlocking = (fd: number): boolean => ((fileFlags(fd) ?? 0) & constants.O_NONBLOCK) !== 0

function openDescriptors(): number[] {
  return readdirSync('/proc/self/fd').map(Number)
}

/** Its path, or its kind and number, as in `pipe:[4711]`; empty where that is unknown. */
function fileOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}
