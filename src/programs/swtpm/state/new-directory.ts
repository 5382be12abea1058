/** A state directory that is made new: complete under another name first, then renamed. */

import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { REMEDIES } from '../../../system/missing-things.ts'
import { reasonOf } from '../../../system/reason.ts'
import { SEED_MARKER } from '../../../tpm/state/insecure-seed.ts'
import { syncPath } from '../../../tpm/state/replacement.ts'
import { backupFile, stateFileName } from '../../../tpm/state/state-files.ts'
import type { StoredBlob, StoredTpm } from '../../../tpm/state/stored/stored-tpm.ts'
import { ToolFailure } from '../../common/tool-failure.ts'

const FILE_MODE = 0o600

/** Who may use what is made, as with what it is made from. */
export type Rights = Pick<Stats, 'uid' | 'gid' | 'mode'>

export interface StateFileToWrite {
  readonly name: string
  readonly bytes: Buffer
}

/** The files of a state directory that has these states. */
export function filesOf(
  { blobs, insecureSeed }: Pick<StoredTpm, 'blobs' | 'insecureSeed'>,
  version: TpmVersion,
): StateFileToWrite[] {
  const nameOf = ({ type }: StoredBlob): string =>
    type === 'backup' ? backupFile(version) : stateFileName(type, version)
  return [
    ...blobs.map((blob) => ({ name: nameOf(blob), bytes: blob.bytes })),
    ...(insecureSeed === undefined ? [] : [{ name: SEED_MARKER, bytes: Buffer.from(`${insecureSeed}\n`) }]),
  ]
}

/** What root makes is whose the old state was. By descriptor: its folder may be another user's, who could put a link there. */
export function give(path: string, { uid, gid, mode }: Rights): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (process.geteuid?.() === 0) fchownSync(fd, uid, gid)
    fchmodSync(fd, mode & 0o777)
  } finally {
    closeSync(fd)
  }
}

export const rightsOf = (path: string): Rights => statSync(path)

/** @throws ToolFailure: there is something of that name */
export function requireFree(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  throw new ToolFailure(`Cannot write "${path}": it is there already; name another place`)
}

/**
 * A directory that was not there, with these files, for its owner alone. After a power cut it is there with all of them, or it is not
 * there.
 * @throws ToolFailure
 */
export function makeDirectory(path: string, files: readonly StateFileToWrite[], rights?: Rights): void {
  requireFree(path)
  const whole = path.replace(/(?<=.)\/+$/, '')
  const parent = dirname(whole)
  if (!existsSync(parent))
    throw new ToolFailure(
      `Cannot make "${path}": "${parent}" is not there; make it with \`${REMEDIES.directory(parent).command}\``,
    )
  let folder: string | undefined
  try {
    folder = mkdtempSync(join(parent, `.${basename(whole)}.`))
    for (const { name, bytes } of files) {
      writeSynced(join(folder, name), bytes)
      if (rights !== undefined) give(join(folder, name), rights)
    }
    if (rights !== undefined) give(folder, { ...rights, mode: 0o700 })
    syncPath(folder)
    renameSync(folder, whole)
    syncPath(parent)
  } catch (error) {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    throw new ToolFailure(`Cannot make "${path}": ${reasonOf(error)}`, { cause: error })
  }
}

export function writeSynced(path: string, bytes: Buffer): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, FILE_MODE)
  try {
    writeFileSync(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
