/** Puts states into a place that is locked, in one step: after a power cut it has the old TPM or the new one. */

import { randomBytes } from 'node:crypto'
import { fstatSync, mkdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { STATE_BLOBS } from '../../../../contract/state-blobs.ts'
import { writeLinearFile } from '../../../tpm/state/linear/linear-blobs.ts'
import { LINEAR_BLOBS } from '../../../tpm/state/linear/linear-header.ts'
import { replaceFile, writeBlobsInPlace } from '../../../tpm/state/linear/linear-replacement.ts'
import { PrivateFolder } from '../../../tpm/state/private-folder.ts'
import { NEW_TPM_FOLDER, newStateIn, replaceState } from '../../../tpm/state/replacement.ts'
import type { StoredBlob } from '../../../tpm/state/stored/stored-tpm.ts'
import { removeIfThere } from '../../common/atomic-file.ts'
import { give, type Rights, type StateFileToWrite, writeSynced } from './new-directory.ts'

/**
 * @param goes which other files of the directory go
 * @throws the system's error; the directory is as it was then
 */
export function putIntoDirectory(
  directory: string,
  version: TpmVersion,
  files: readonly StateFileToWrite[],
  rights: Rights,
  goes: (name: string) => boolean,
): void {
  PrivateFolder.removeLeftovers(directory, NEW_TPM_FOLDER)
  const folder = PrivateFolder.create(directory, NEW_TPM_FOLDER)
  try {
    mkdirSync(newStateIn(folder.path), { mode: 0o700 })
    for (const { name, bytes } of files) {
      const path = join(newStateIn(folder.path), name)
      writeSynced(path, bytes)
      give(path, rights)
    }
    replaceState(directory, folder.path, version, goes)
  } finally {
    folder.remove()
  }
}

/** The states in the order of a linear file's header. */
export const linearBlobsOf = (blobs: readonly StoredBlob[]): Buffer[] =>
  LINEAR_BLOBS.map(
    (name) =>
      blobs.find(({ type }) => type !== 'backup' && STATE_BLOBS[type].name === name)?.bytes ??
      Buffer.alloc(0),
  )

/**
 * @param fd of the file or block device, locked; undefined: there is none
 * @throws the system's error, or SwtpmError; what was there is as it was then
 */
export function putIntoFile(
  path: string,
  fd: number | undefined,
  blobs: readonly Buffer[],
  rights: Rights,
): void {
  if (fd !== undefined && !fstatSync(fd).isFile()) {
    writeBlobsInPlace(blobs, path, fd)
    return
  }
  const real = fd === undefined ? path : realpathSync(path)
  const made = join(dirname(real), `.${basename(real)}.${randomBytes(6).toString('hex')}`)
  try {
    writeLinearFile(made, blobs)
    give(made, rights)
    replaceFile(made, real, fd)
  } finally {
    removeIfThere(made)
  }
}
