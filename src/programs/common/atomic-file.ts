/** Writes files at once: a reader finds the old content or the new one, and never a file without its final mode. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
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
  if (existing?.isSymbolicLink()) {
    throw Object.assign(new Error('it is a symbolic link'), { code: 'ELOOP' })
  }
  if (existing !== undefined && !existing.isFile()) {
    writeInPlace(path, data)
    return
  }

  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  let fd: number
  try {
    fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode)
  } catch (error) {
    if (existing === undefined || (error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    writeInPlace(path, data)
    return
  }
  try {
    try {
      writeFileSync(fd, data)
      chmodSync(temporary, mode)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } catch (error) {
    unlinkSync(temporary)
    throw error
  }
}

function writeInPlace(path: string, data: Uint8Array | string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW)
  try {
    writeFileSync(fd, data)
  } finally {
    closeSync(fd)
  }
}
