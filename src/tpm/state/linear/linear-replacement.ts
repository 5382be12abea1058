/**
 * A new linear state file takes the place of the old one.
 *
 * A regular file is replaced by a rename. A block device has no name that could be renamed, and neither has a file that is
 * mounted on by itself, as into a container, or one in a folder that this user may not write to. There the new TPM is
 * written to space that the old one does not use, and then the header, whose 192 bytes are less than a sector: the disk has
 * the old one or the new one.
 */
import { closeSync, constants, fstatSync, fsyncSync, linkSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { SwtpmError } from '../../../system/errors.ts'
import { readAt, writeAt } from '../../../system/io/positioned-io.ts'
import { syncPath } from '../replacement.ts'
import { blobsOf, writeBlobs } from './linear-blobs.ts'
import { LINEAR_HEADER_BYTES, linearHeader, placeBeside, readLinearHeader } from './linear-header.ts'

/** The offsets in the header have 32 bits. */
const MAX_OFFSET = 0xffff_ffff

/** Of a rename that this file does not allow: it is a mount point, or another user's in a shared folder. */
const NOT_RENAMABLE = new Set(['EBUSY', 'EPERM', 'EACCES'])

/**
 * @param made the new file, beside the old one
 * @param fd of the old file, locked; undefined when there is none
 * @throws the system's error, or SwtpmError; the old file is untouched then
 */
export function replaceFile(made: string, path: string, fd: number | undefined): void {
  syncPath(made)
  syncPath(dirname(made))
  if (fd === undefined) putWhereNothingIs(made, path)
  else {
    try {
      renameSync(made, path)
    } catch (error) {
      if (!NOT_RENAMABLE.has((error as NodeJS.ErrnoException).code ?? '')) throw error
      writeInPlace(made, path, fd)
      return
    }
  }
  syncPath(dirname(path))
}

/** Nothing was locked, so another process may have made a TPM there. */
function putWhereNothingIs(made: string, path: string): void {
  try {
    linkSync(made, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') {
      throw new SwtpmError(
        'SWTPM_ERR_STATE_DIR',
        `Cannot make state file "${path}": another process has just made it`,
      )
    }
    // A file system without links, such as FAT.
    if (code !== 'EPERM' && code !== 'EOPNOTSUPP') throw error
    closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o640))
    renameSync(made, path)
  }
}

/**
 * @param fd of the file or device, locked
 * @throws the system's error, or SwtpmError when there is no room beside the old TPM; that is untouched then
 */
export const writeInPlace = (made: string, path: string, fd: number): void =>
  writeBlobsInPlace(blobsOfFile(made), path, fd)

/** The same with the states, in the order of the header; empty where there is none. */
export function writeBlobsInPlace(blobs: readonly Buffer[], path: string, fd: number): void {
  const old = readLinearHeader(readAt(fd, 0, LINEAR_HEADER_BYTES))
  const slots = placeBeside(
    'slots' in old ? old.slots : [],
    blobs.map(({ length }) => length),
    sizeLimit(fd),
  )
  if (slots === undefined) {
    throw new SwtpmError(
      'SWTPM_ERR_STATE_DIR',
      `Cannot put a TPM into "${path}": there is no room for it beside the old one; ` +
        `\`dd if=/dev/zero of=${path} bs=512 count=1 conv=notrunc\` gives the old one up`,
    )
  }
  writeBlobs(fd, blobs, slots)
  fsyncSync(fd)
  writeAt(fd, 0, linearHeader(slots))
  fsyncSync(fd)
}

function blobsOfFile(path: string): Buffer[] {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    return blobsOf(fd)
  } finally {
    closeSync(fd)
  }
}

/** How far blobs may reach. */
function sizeLimit(fd: number): number {
  if (!fstatSync(fd).isBlockDevice()) return MAX_OFFSET
  // The size of a device, found by reading: stat(2) does not have it.
  let [end, beyond] = [0, MAX_OFFSET]
  while (end < beyond) {
    const middle = Math.ceil((end + beyond) / 2)
    if (readAt(fd, middle - 1, 1).length === 1) end = middle
    else beyond = middle - 1
  }
  return end
}
