/**
 * Writes files at once: a reader finds the old content or the new one, and never a file without its final mode. The folder may
 * belong to another user, so no symbolic link in it is followed, and rights are set by descriptor.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * Writes `data` under a temporary name beside `path` and renames it into place. A device or pipe is written directly; so
 * is an existing file whose folder we may not write to, since a shared folder may grant only the file.
 * @throws the system's error; ELOOP when `path` is a symbolic link
 */
export function writeFileAtomic(path: string, data: Uint8Array | string, mode: number): void {
  const existing = lstatSync(path, { throwIfNoEntry: false })
  if (existing?.isSymbolicLink()) throw symbolicLink(path)
  if (existing !== undefined && !existing.isFile()) {
    writeInPlace(path, data)
    return
  }
  try {
    writeBeside(path, data, { mode, owner: existing }, (temporary) => renameSync(temporary, path))
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (existing === undefined || code !== 'EACCES' || syscall !== 'open') throw error
    writeInPlace(path, data)
  }
}

/**
 * Writes a file that must not be there yet.
 * @throws the system's error; EEXIST when something has that name, which is left as it is
 */
export function writeNewFile(path: string, data: Uint8Array | string, mode: number): void {
  writeBeside(path, data, { mode }, (temporary) => {
    try {
      linkSync(temporary, path)
    } catch (error) {
      if (!NO_HARD_LINKS.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      // An empty file of ours takes the name first.
      closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode))
      renameSync(temporary, path)
      return
    }
    unlinkSync(temporary)
  })
}

/** Answers of file systems without hard links, such as vfat and some network file systems. */
const NO_HARD_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

interface Rights {
  readonly mode: number
  /** Of whom the file shall be where root writes it; the owner of its folder unless given. */
  readonly owner?: Owner | undefined
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

/** @param settle gives the complete temporary file its name */
function writeBeside(
  path: string,
  data: Uint8Array | string,
  { mode, owner }: Rights,
  settle: (temporary: string) => void,
): void {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants
  const folder = dirname(path)
  // Another process may be writing the same file.
  removeLeftovers([path], SURELY_LEFT_MS)
  const temporary = join(folder, `${temporaryPrefix(path)}${randomBytes(RANDOM_BYTES).toString('hex')}`)
  const fd = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL, mode)
  try {
    try {
      writeFileSync(fd, data)
      if (isRoot()) giveTo(fd, owner ?? statSync(folder))
      fchmodSync(fd, mode)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    settle(temporary)
  } catch (error) {
    removeIfThere(temporary)
    throw error
  }
  syncFolder(folder)
}

const RANDOM_BYTES = 6
const RANDOM_END = new RegExp(`^[0-9a-f]{${2 * RANDOM_BYTES}}$`)
/** No process writes a file for so long. */
const SURELY_LEFT_MS = 3_600_000

const temporaryPrefix = (path: string): string => `.${basename(path).slice(0, 200)}.`

/**
 * Removes the temporary files with which processes that were killed wanted to write `paths`. What cannot be removed stays.
 * @param minimumAgeMs 0 where a lock keeps other processes from writing these files
 */
export function removeLeftovers(paths: readonly string[], minimumAgeMs = 0): void {
  for (const path of paths) {
    const prefix = temporaryPrefix(path)
    for (const name of namesIn(dirname(path))) {
      if (!name.startsWith(prefix) || !RANDOM_END.test(name.slice(prefix.length))) continue
      const temporary = join(dirname(path), name)
      if (isOlder(temporary, minimumAgeMs)) removeIfThere(temporary)
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isOlder(path: string, ageMs: number): boolean {
  try {
    const status = lstatSync(path)
    return status.isFile() && Date.now() - status.mtimeMs >= ageMs
  } catch {
    return false
  }
}

export const isRoot = (): boolean => process.geteuid?.() === 0

/** What root makes for another user shall not shut that user out. @param fd of a file that root has just made */
export function giveTo(fd: number, { uid, gid }: Owner): void {
  if (uid !== 0) fchownSync(fd, uid, gid)
}

export function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch {}
}

/** The name is on the disk too. Not every file system can do this, and not every user may read the folder. */
function syncFolder(path: string): void {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch {}
}

function writeInPlace(path: string, data: Uint8Array | string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW)
  try {
    if (fstatSync(fd).isFile()) ftruncateSync(fd)
    writeFileSync(fd, data)
  } finally {
    closeSync(fd)
  }
}

const symbolicLink = (path: string): NodeJS.ErrnoException =>
  Object.assign(new Error('it is a symbolic link'), { code: 'ELOOP', path })
