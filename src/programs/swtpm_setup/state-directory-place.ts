/** A state directory as the place of the TPM to set up. */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { reasonOf } from '../../system/reason.ts'
import { SEED_MARKER } from '../../tpm/state/insecure-seed.ts'
import { PrivateFolder } from '../../tpm/state/private-folder.ts'
import { NEW_TPM_FOLDER, newStateIn, replaceState } from '../../tpm/state/replacement.ts'
import {
  isTemporaryFile,
  journalFile,
  permanentFile,
  type StateFile,
  stateFile,
} from '../../tpm/state/state-files.ts'
import { openState } from '../../tpm/state/state-location.ts'
import { currentUserName, refusal, requireDirectory } from '../common/access.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { once } from './once.ts'
import type { FoundState, LockedPlace, NewTpm, ReadablePlace, StatePlace, Workplace } from './state-place.ts'

export class StateDirectoryPlace implements StatePlace {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  requireAccess(): void {
    const mode = constants.R_OK | constants.W_OK
    const lock = join(this.path, '.lock')
    const reason = statSync(lock, { throwIfNoEntry: false }) && refusal(lock, mode)
    if (reason !== undefined) {
      throw new ToolFailure(`User ${currentUserName()} cannot read/write lockfile ${lock}: ${reason}`)
    }
    requireDirectory(this.path, mode)
  }

  async lock(): Promise<LockedPlace> {
    const { path } = this
    const { fd, lock } = openState({ kind: 'dir', path, lock: true }, { sync: false })
    try {
      await lock.lock()
    } catch (error) {
      closeSync(fd)
      throw error
    }
    PrivateFolder.removeLeftovers(path, NEW_TPM_FOLDER)
    return {
      ...this.unlocked(),
      newTpm: () => newTpm(path),
      changedTpm: (version) => changedTpm(path, version),
      close: once(() => {
        lock.unlock()
        closeSync(fd)
      }),
    }
  }

  unlocked(): ReadablePlace {
    const { path } = this
    return {
      found: (wanted) => foundIn(path, wanted),
      copy: (version, what) => {
        const workplace = workplaceIn(path)
        attempt(path, () => copyState(path, newStateIn(workplace.folder), version, what))
        return workplace
      },
      close: () => {},
    }
  }
}

const BLOBS: readonly StateFile['blob'][] = ['permall', 'volatilestate', 'savestate']

function foundIn(directory: string, wanted: TpmVersion): FoundState | undefined {
  const rank = ({ version, blob }: StateFile): number =>
    BLOBS.indexOf(blob) + (version === wanted ? 0 : BLOBS.length)
  return stateFilesIn(directory).sort((a, b) => rank(a) - rank(b))[0]
}

const stateFilesIn = (directory: string): StateFile[] =>
  attempt(directory, () => readdirSync(directory)).flatMap((name) => stateFile(name) ?? [])

/** All that there was goes, of either version, and a backup from which the old TPM could come back. */
function newTpm(directory: string): NewTpm {
  const workplace = workplaceIn(directory)
  const goes = (name: string): boolean => stateFile(name) !== undefined || isTemporaryFile(name)
  return { ...workplace, putInPlace: (version) => putInPlace(directory, workplace.folder, version, goes) }
}

/** What the copy has no longer goes. */
function changedTpm(directory: string, version: TpmVersion): NewTpm {
  const workplace = workplaceIn(directory)
  const { folder } = workplace
  attempt(directory, () => copyState(directory, newStateIn(folder), version, 'all'))
  const goes = (name: string): boolean =>
    stateFile(name)?.version === version && !existsSync(join(newStateIn(folder), name))
  return { ...workplace, putInPlace: () => putInPlace(directory, folder, version, goes) }
}

function putInPlace(
  directory: string,
  folder: string,
  version: TpmVersion,
  goes: (name: string) => boolean,
): void {
  const state = newStateIn(folder)
  if (!existsSync(join(state, permanentFile(version))) || existsSync(join(state, journalFile(version)))) {
    throw new ToolFailure(`Cannot use the TPM that swtpm has made: its state in "${state}" is not complete`)
  }
  attempt(directory, () => replaceState(directory, folder, version, goes))
}

function workplaceIn(directory: string): Workplace {
  const folder = attempt(directory, () => {
    const created = PrivateFolder.create(directory, NEW_TPM_FOLDER)
    makeStateDirectory(directory, newStateIn(created.path))
    return created
  })
  return {
    uri: `dir://${newStateIn(folder.path)}`,
    folder: folder.path,
    remove: () => folder.remove(),
  }
}

function makeStateDirectory(directory: string, target: string): void {
  mkdirSync(target)
  giveAway(target, directory)
}

/** The engine of a swtpm that root starts becomes the owner of its state directory: that has to be whose the TPM will be. */
function giveAway(path: string, model: string): void {
  const { uid, gid } = statSync(model)
  if (process.geteuid?.() === 0 && uid !== 0) lchownSync(path, uid, gid)
}

/** Of a TPM that stores meanwhile, the journal belongs to one permanent file, and its last complete entry counts. */
const COPY_ATTEMPTS = 20

function copyState(directory: string, target: string, version: TpmVersion, what: 'permanent' | 'all'): void {
  const permanent = join(directory, permanentFile(version))
  for (let tries = 1; ; tries++) {
    rmSync(target, { recursive: true, force: true })
    makeStateDirectory(directory, target)
    const before = statSync(permanent, { throwIfNoEntry: false })
    for (const { name, blob } of stateFilesIn(directory)) {
      if (stateFile(name)?.version !== version || (blob !== 'permall' && what === 'permanent')) continue
      try {
        copyFileSync(join(directory, name), join(target, name))
        giveAway(join(target, name), join(directory, name))
      } catch (error) {
        // A journal that has just ended.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    if (existsSync(join(directory, SEED_MARKER)))
      copyFileSync(join(directory, SEED_MARKER), join(target, SEED_MARKER))
    const after = statSync(permanent, { throwIfNoEntry: false })
    if (before?.ino === after?.ino && before?.mtimeMs === after?.mtimeMs) return
    if (tries === COPY_ATTEMPTS) throw new Error('the TPM there stores without a pause')
  }
}

/** @throws ToolFailure for the system's errors */
function attempt<T>(directory: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw new ToolFailure(`Cannot put a TPM into state directory "${directory}": ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
