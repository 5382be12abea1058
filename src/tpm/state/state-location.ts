/** Opens the place where a TPM keeps its state, for the engine, and knows how it is locked. */

import { closeSync, constants, fsyncSync, mkdirSync, openSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Backend } from '../../../contract/engine-options.ts'
import type { Keeper } from '../../keeper/keeper.ts'
import { SwtpmError } from '../../system/errors.ts'
import { REMEDIES } from '../../system/missing-things.ts'
import { reasonOf } from '../../system/reason.ts'
import { keeperOwns } from './lock-owner.ts'
import { openMemoryFile } from './memory-file.ts'
import { StorageLock } from './storage-lock.ts'

/** Where the TPM keeps its state. */
export interface StateLocation {
  readonly kind: Backend
  readonly path: string
  /** Lock the state against a second process. */
  readonly lock: boolean
  /** It is nowhere, and gone with the TPM; `path` is for messages. */
  readonly inMemory?: boolean
}

export interface OpenState {
  /** The directory, or the linear file or block device. */
  readonly fd: number
  readonly lock: StorageLock
}

const DIRECTORY_MODE = 0o775
const LINEAR_FILE_MODE = 0o640

export interface OpenStateOptions {
  /** What is made is on the disk when this returns. */
  readonly sync: boolean
  /** The directory that will be the root when paths are used later; '' without --chroot. */
  readonly root?: string
  /** Make a missing directory (its parent must exist), as the CUSE TPM always did. */
  readonly createDirectory?: boolean
  /** Holds the lock; this process without one. */
  readonly keeper?: Keeper | undefined
}

/** @throws SwtpmError SWTPM_ERR_STATE_DIR */
export function openState(
  location: StateLocation,
  { sync, root = '', createDirectory = false, keeper }: OpenStateOptions,
): OpenState {
  const path = root === '' ? location.path : join(root, location.path)
  const fail = (error: unknown): never => {
    const what = location.kind === 'dir' ? 'state directory' : 'state file'
    const isMissing = location.kind === 'dir' && (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new SwtpmError(
      'SWTPM_ERR_STATE_DIR',
      `Cannot open ${what} "${path}": ${reasonOf(error)}${isMissing ? `; make it with \`${REMEDIES.directory(path).command}\`` : ''}`,
      { cause: error },
    )
  }
  if (location.kind === 'linear') {
    try {
      const fd = location.inMemory ? openMemoryFile() : openLinear(path, sync)
      return { fd, lock: lockOf(location, path, fd, keeper) }
    } catch (error) {
      return fail(error)
    }
  }
  if (createDirectory) {
    try {
      mkdirSync(path, { mode: DIRECTORY_MODE })
      if (sync) syncParent(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') fail(error)
    }
  }
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
    return { fd, lock: lockOf(location, location.path, fd, keeper) }
  } catch (error) {
    return fail(error)
  }
}

/** @param path where it is when it is locked */
export function lockOf(
  { kind, lock }: StateLocation,
  path: string,
  fd: number,
  keeper: Keeper | undefined,
): StorageLock {
  if (!lock) return StorageLock.none()
  return kind === 'dir'
    ? StorageLock.ofDirectory(path, fd, keeper && keeperOwns(keeper, 'lockFile'))
    : StorageLock.ofFile(path, fd, keeper && keeperOwns(keeper, 'stateFile'))
}

/** The path may be a link to a volume; but a link that leads nowhere does not make a file where it points. */
function openLinear(path: string, sync: boolean): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK } = constants
  try {
    return openSync(path, O_RDWR | O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  try {
    const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, LINEAR_FILE_MODE)
    if (sync) syncParent(path)
    return fd
  } catch (error) {
    const target = linkTarget(path)
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || target === undefined) throw error
    throw new Error(`it is a link to "${target}", which does not exist; make that file, or remove the link`)
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** What was acknowledged is lost with the name of the file it is in. */
function syncParent(path: string): void {
  try {
    const fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch {
    // A folder that we may not read, or a file system that cannot sync one: nothing more is to be had.
  }
}
