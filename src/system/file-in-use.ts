/** Whether another process has a file open for writing. A swtpm that runs on a linear state file does not lock it by default. */
import { constants, fstatSync, readdirSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { basename } from 'node:path'

/**
 * @param path of the file, without links
 * @param fd of the file
 * @returns the process, or undefined where there is none, or none that this user may look into
 */
export function writerOf(path: string, fd: number): number | undefined {
  const { dev, ino, rdev } = fstatSync(fd)
  const isSame = (open: Stats): boolean =>
    // A block device may have several nodes.
    rdev === 0 ? open.dev === dev && open.ino === ino : open.isBlockDevice() && open.rdev === rdev
  // Others are not even looked at: stat(2) waits for a file system that does not answer.
  const mayBe = (target: string): boolean =>
    rdev === 0 ? basename(target) === basename(path) : target.startsWith('/dev/')
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    for (const number of namesIn(`/proc/${pid}/fd`)) {
      const link = `/proc/${pid}/fd/${number}`
      try {
        if (!mayBe(readlinkSync(link)) || !isSame(statSync(link))) continue
        if (isForWriting(`/proc/${pid}/fdinfo/${number}`)) return Number(pid)
      } catch {
        // It has been closed.
      }
    }
  }
  return undefined
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** @see proc_pid_fdinfo(5): the flags of open(2) in octal */
function isForWriting(info: string): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(info, 'utf8'))?.[1] ?? '0'
  return (Number.parseInt(flags, 8) & (constants.O_WRONLY | constants.O_RDWR)) !== 0
}
