/** A linear state file, or a block device, as the place of the TPM to set up. */
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { Fault, SwtpmError } from '../../system/errors.ts'
import { writerOf } from '../../system/file-in-use.ts'
import { readAt } from '../../system/io/positioned-io.ts'
import { reasonOf } from '../../system/reason.ts'
import { temporaryDirectory } from '../../system/surroundings.ts'
import { blobsOf, writeLinearFile } from '../../tpm/state/linear/linear-blobs.ts'
import {
  LINEAR_BLOBS,
  LINEAR_HEADER_BYTES,
  readLinearHeader,
  versionOfBlob,
} from '../../tpm/state/linear/linear-header.ts'
import { replaceFile, writeInPlace } from '../../tpm/state/linear/linear-replacement.ts'
import { PrivateFolder } from '../../tpm/state/private-folder.ts'
import { openState } from '../../tpm/state/state-location.ts'
import { can, currentUserName, refusal } from '../common/access.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { once } from './once.ts'
import type { FoundState, LockedPlace, NewTpm, ReadablePlace, StatePlace, Workplace } from './state-place.ts'

const PREFIX = '.swtpm_setup.'
/** How much of a blob says which version it is of, in bytes. */
const BLOB_START_BYTES = 32

export class LinearStatePlace implements StatePlace {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  requireAccess(): void {
    const reason = statOf(this.path) && refusal(this.path, constants.R_OK | constants.W_OK)
    if (reason !== undefined) {
      throw new ToolFailure(`User ${currentUserName()} cannot read/write state file ${this.path}: ${reason}`)
    }
  }

  async lock(): Promise<LockedPlace> {
    const { path } = this
    // swtpm would make the file in order to lock it. Without one there is nothing to be kept from others.
    if (statOf(path) === undefined) return lockedPlace(path, undefined, () => {})
    const { fd, lock } = openState({ kind: 'linear', path, lock: true }, { sync: false })
    try {
      await lock.lock()
      requireSameFile(path, fd)
      requireUnused(path, fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    const close = once(() => {
      lock.unlock()
      closeSync(fd)
    })
    return lockedPlace(path, fd, close)
  }

  unlocked(): ReadablePlace {
    const { path } = this
    const fd = attempt(path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
    return readablePlace(
      path,
      fd,
      once(() => closeSync(fd)),
    )
  }
}

/** @param fd of the file; undefined when there is none */
function readablePlace(path: string, fd: number | undefined, close: () => void): ReadablePlace {
  return {
    found: () => (fd === undefined ? undefined : foundIn(path, fd)),
    copy: (_, what) => copyIn(workshopOf(path, fd), path, fd, what),
    close,
  }
}

function lockedPlace(path: string, fd: number | undefined, close: () => void): LockedPlace {
  const workshop = workshopOf(path, fd)
  PrivateFolder.removeLeftovers(workshop.parent, workshop.prefix)
  const putInPlace = ({ folder }: Workplace): void => {
    const made = stateIn(folder)
    if (statOf(made) === undefined) {
      throw new ToolFailure(`Cannot use the TPM that swtpm has made: it left no state in "${made}"`)
    }
    attempt(path, () => {
      if (workshop.besideIt) replaceFile(made, fd === undefined ? path : realpathSync(path), fd)
      else writeInPlace(made, path, fd as number)
    })
  }
  const replaceable = (workplace: Workplace): NewTpm => ({
    ...workplace,
    putInPlace: () => putInPlace(workplace),
  })
  return {
    ...readablePlace(path, fd, close),
    newTpm: () => replaceable(workplaceIn(workshop, path)),
    changedTpm: () => replaceable(copyIn(workshop, path, fd, 'all')),
  }
}

/** Where folders to work in go. */
interface Workshop {
  readonly parent: string
  readonly prefix: string
  /** Whether a new file there can be renamed over the old one. */
  readonly besideIt: boolean
}

/** Beside the file, if it can be replaced by a rename; else among the temporary files. */
function workshopOf(path: string, fd: number | undefined): Workshop {
  const real = fd === undefined ? path : realpathSync(path)
  const parent = dirname(real)
  if (fd === undefined || (fstatSync(fd).isFile() && can(parent, constants.W_OK | constants.X_OK))) {
    return { parent, prefix: `${PREFIX}${basename(real)}.`, besideIt: true }
  }
  const digest = createHash('sha256').update(real).digest('hex').slice(0, 16)
  return { parent: temporaryDirectory(), prefix: `${PREFIX}${digest}.`, besideIt: false }
}

function workplaceIn({ parent, prefix }: Workshop, path: string): Workplace {
  const folder = attempt(path, () => PrivateFolder.create(parent, prefix))
  return { uri: `file://${stateIn(folder.path)}`, folder: folder.path, remove: () => folder.remove() }
}

function copyIn(
  workshop: Workshop,
  path: string,
  fd: number | undefined,
  what: 'permanent' | 'all',
): Workplace {
  const workplace = workplaceIn(workshop, path)
  attempt(path, () => {
    if (fd === undefined) throw new Error('there is none')
    const blobs = blobsOf(fd)
    writeLinearFile(stateIn(workplace.folder), what === 'all' ? blobs : blobs.slice(0, 1))
  })
  return workplace
}

const stateIn = (folder: string): string => join(folder, 'state')

/** @throws ToolFailure for a file that is no TPM's, which is not ours to replace */
function foundIn(path: string, fd: number): FoundState | undefined {
  const header = readLinearHeader(readAt(fd, 0, LINEAR_HEADER_BYTES))
  switch (header.kind) {
    case 'empty':
      return undefined
    case 'damaged':
      return { version: undefined, blob: 'permall' }
    case 'foreign':
      // A device holds remains of its former use.
      if (fstatSync(fd).isBlockDevice()) return undefined
      throw new ToolFailure(
        `Cannot use state file "${path}": it is not empty and no TPM's; remove it, or choose another one`,
      )
    case 'state': {
      const index = LINEAR_BLOBS.findIndex((_, at) => header.slots[at]?.offset !== 0)
      const blob = LINEAR_BLOBS[index]
      return blob === undefined ? undefined : { blob, version: versionAt(fd, header.slots[0]?.offset ?? 0) }
    }
  }
}

const versionAt = (fd: number, offset: number): TpmVersion | undefined =>
  offset === 0 ? undefined : versionOfBlob(readAt(fd, offset, BLOB_START_BYTES))

/** Another run may have put a new file in place since this one was opened. */
function requireSameFile(path: string, fd: number): void {
  const [opened, now] = [fstatSync(fd), statOf(path)]
  if (opened.ino !== now?.ino || opened.dev !== now.dev) {
    throw new ToolFailure(`Cannot use state file "${path}": another process has just replaced it`)
  }
}

/** @throws SwtpmError SWTPM_ERR_STATE_LOCKED */
function requireUnused(path: string, fd: number): void {
  const pid = writerOf(realpathSync(path), fd)
  if (pid === undefined) return
  throw new SwtpmError('SWTPM_ERR_STATE_LOCKED', `Cannot lock state file "${path}": in use by process ${pid}`)
}

/** @throws ToolFailure when it cannot be told what there is */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ToolFailure(`Cannot use state file "${path}": ${reasonOf(error)}`, { cause: error })
  }
}

/** @throws ToolFailure for the system's errors */
function attempt<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new ToolFailure(`Cannot put a TPM into state file "${path}": ${reasonOf(error)}`, { cause: error })
  }
}
