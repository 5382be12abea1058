/** Reads files that decide about trust, such as keys, from folders in which another user may have laid traps. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

const OTHERS_MAY_WRITE = 0o022
const STICKY = 0o1000

/**
 * Where another user may rename files, no symbolic link is followed, and only a regular file is read: a pipe would never end.
 * @throws the system's error, or one that says what it is instead of a file
 */
export function readTrustedFile(path: string): Buffer {
  if (!othersMayReplace(path)) return readFileSync(path)
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  let fd: number
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOOP') throw error
    throw new Error('it is a symbolic link in a folder of another user', { cause: error })
  }
  try {
    const stat = fstatSync(fd)
    if (stat.isDirectory() || stat.isFile()) return readFileSync(fd)
    throw new Error('it is no regular file, in a folder of another user')
  } finally {
    closeSync(fd)
  }
}

/** Our own folders are ours to arrange, and so are root's; but what root reads must not be another user's to choose. */
function othersMayReplace(path: string): boolean {
  const us = process.geteuid?.() ?? 0
  const { uid, mode } = statSync(dirname(path))
  if (uid !== 0 && uid !== us) return true
  if ((mode & OTHERS_MAY_WRITE) === 0 || (uid === us && us !== 0)) return false
  // In a sticky folder such as /tmp only the owner of a file replaces it.
  return (mode & STICKY) === 0 || ![0, us].includes(lstatSync(path).uid)
}

/**
 * A program of the user that is to run with our rights: another user must not have written it, or be able to.
 * @throws the system's error, or one that says what is wrong
 */
export function refuseUntrusted(path: string): void {
  const us = process.geteuid?.() ?? 0
  const { uid, mode } = statSync(path)
  if (uid !== 0 && uid !== us)
    throw new Error('it belongs to another user; only root and the user of swtpm may own it')
  if ((mode & OTHERS_MAY_WRITE) !== 0) throw new Error('others may write to it: chmod go-w it')
  if (othersMayReplace(path))
    throw new Error('it is in a directory of which other users may change the files')
}
