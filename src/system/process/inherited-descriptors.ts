/** Descriptors that this program was started with. */
import { constants, fstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { kindOf } from '../file-kind.ts'

/** @see fcntl(2) F_GETFL, O_ACCMODE */
const ACCESS_MODE = 3

let keepers: number | undefined

/** A descriptor that the keeper has made is not the user's, whatever the number says that the user gives. */
export function reserveDescriptor(fd: number | undefined): void {
  keepers = fd
}

/** The descriptors of all `{ kind: 'fd', fd }` entries: the form in which options take a descriptor. */
export function namedDescriptors(config: unknown): number[] {
  if (typeof config !== 'object' || config === null) return []
  const { kind, fd } = config as { kind?: unknown; fd?: unknown }
  const own = kind === 'fd' && typeof fd === 'number' ? [fd] : []
  return [...own, ...Object.values(config).flatMap(namedDescriptors)]
}

/** What a descriptor is for. A device is served by `read()` and `write()`: a socket, or what a driver made. */
export type DescriptorUse = 'read' | 'write' | 'socket' | 'device'

/**
 * Why this program cannot use a descriptor that the user names. Ask before the program opens something: a number that is free
 * when it starts is another file's later.
 * @returns the end of a message; undefined where nothing is wrong with it
 */
export function whyUnusable(fd: number, use: DescriptorUse): string | undefined {
  const status = statusOf(fd)
  if (status === undefined || isNodes(fd))
    return 'it is not open; the program that starts this one has to hand it in'
  const kind = kindOf(status)
  switch (use) {
    case 'socket':
      return status.isSocket() ? undefined : `it is ${kind}, not a socket`
    case 'device':
      // A device of /dev/vtpmx has no kind at all, so what it cannot be is listed.
      return status.isFile() || status.isDirectory() || status.isBlockDevice()
        ? `it is ${kind}, not a socket or a character device`
        : undefined
    case 'read':
      if (status.isDirectory()) return 'it is a directory'
      return accessOf(fd) === constants.O_WRONLY ? 'it is open for writing only' : undefined
    case 'write':
      if (status.isDirectory()) return 'it is a directory'
      return accessOf(fd) === constants.O_RDONLY ? 'it is open for reading only' : undefined
  }
}

function statusOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd)
  } catch {
    return undefined
  }
}

/** Whether Node has opened it for itself, or the keeper for Node. */
function isNodes(fd: number): boolean {
  const file = fileOf(fd)
  return (
    fd === keepers ||
    /^anon_inode:\[?(eventpoll|eventfd|io_uring)/.test(file) ||
    (file.startsWith('pipe:') && isNodesPipe(file))
  )
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

/** O_RDONLY, O_WRONLY or O_RDWR; undefined where /proc is not mounted: then reading or writing tells. */
function accessOf(fd: number): number | undefined {
  const flags = fileFlags(fd)
  return flags === undefined ? undefined : flags & ACCESS_MODE
}

/** The access mode and the flags that open(2) takes; undefined where /proc is not mounted. @see proc(5) /proc/pid/fdinfo */
function fileFlags(fd: number): number | undefined {
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
