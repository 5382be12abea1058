/**
 * A new TPM takes the place of the old one in a state directory, in one step: the rename of its permanent file. What else
 * the old TPM has there (a journal, a backup, volatile state, files of the other version) can only be removed after that, and
 * what else the new one has can only then be moved. It is listed before, so that a process that is killed in between leaves word of
 * what there is to be done; the next swtpm or swtpm_setup that locks the directory does it.
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { SEED_MARKER } from './insecure-seed.ts'
import { permanentFile, stateFile } from './state-files.ts'

/** Begins the name of the folder in the state directory in which a new TPM is made. */
export const NEW_TPM_FOLDER = '.swtpm_setup.'
/** In it: the state directory of the new TPM, and, once that is complete, the list of what has to go. */
const NEW_STATE = 'state'
const OBSOLETE = 'obsolete'

export const newStateIn = (folder: string): string => join(folder, NEW_STATE)

/** A file of the old TPM. Size and time tell it from a file of the same name that the new TPM has made. */
interface ObsoleteFile {
  readonly name: string
  readonly size: number
  readonly mtimeMs: number
}

/**
 * Puts the TPM that was made in `folder` in the place of the one that the directory has. The directory is locked.
 * @param goes of the other files in the directory
 * @throws the system's error; what the directory had is untouched then, unless only the sync of the last step failed
 */
export function replaceState(
  directory: string,
  folder: string,
  version: TpmVersion,
  goes: (name: string) => boolean,
): void {
  const permanent = permanentFile(version)
  const made = join(newStateIn(folder), permanent)
  syncPath(made)
  const marker = join(newStateIn(folder), SEED_MARKER)
  const isMarked = existsSync(marker)
  const further = furtherFiles(folder)
  for (const name of further) syncPath(join(newStateIn(folder), name))
  const obsolete = readdirSync(directory).filter(
    (name) =>
      name !== permanent && !further.includes(name) && (goes(name) || (name === SEED_MARKER && !isMarked)),
  )
  const list = JSON.stringify(obsolete.map((name) => obsoleteFile(directory, name)))
  writeFileSync(join(folder, OBSOLETE), list, { flag: 'wx' })
  for (const path of [join(folder, OBSOLETE), newStateIn(folder), folder, directory]) syncPath(path)
  // First: a TPM without secrets is never there without its mark.
  if (isMarked) renameSync(marker, join(directory, SEED_MARKER))
  renameSync(made, join(directory, permanent))
  syncPath(directory)
  complete(directory, folder)
}

/** What a new TPM has beside its permanent state: each takes the place of the old file of its name. */
const furtherFiles = (folder: string): string[] =>
  readdirSync(newStateIn(folder)).filter((name) => {
    const { version } = stateFile(name) ?? {}
    return version !== undefined && name !== permanentFile(version)
  })

/**
 * What a process that was killed has left to do in the directory of a TPM that is in its place already: name in the directory → where
 * its file is; undefined: it goes.
 */
export function pendingFiles(directory: string): ReadonlyMap<string, string | undefined> {
  const pending = new Map<string, string | undefined>()
  for (const name of namesIn(directory)) {
    const folder = join(directory, name)
    if (!name.startsWith(NEW_TPM_FOLDER) || !isFolder(folder) || !isReplaced(folder)) continue
    for (const obsolete of readObsolete(join(folder, OBSOLETE)))
      if (isStill(directory, obsolete)) pending.set(obsolete.name, undefined)
    if (!isFolder(newStateIn(folder))) continue
    for (const file of furtherFiles(folder)) pending.set(file, join(newStateIn(folder), file))
  }
  return pending
}

/** Completes what {@link replaceState} has left when it was killed behind its one step. The directory is locked. */
export function completeReplacements(directory: string): void {
  for (const name of namesIn(directory)) {
    if (!name.startsWith(NEW_TPM_FOLDER)) continue
    const folder = join(directory, name)
    if (isFolder(folder) && isReplaced(folder)) complete(directory, folder)
  }
}

/** None where this user may use the directory, but not read it. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** Removes the folder of a new TPM that is not wanted, or that has left it. @throws the system's error */
export function removeNewTpm(folder: string): void {
  const list = join(folder, OBSOLETE)
  if (existsSync(list)) {
    // First: without the new TPM the list would say that this has taken its place.
    unlinkSync(list)
    syncPath(folder)
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

/** Not a link to one, which another user may have put there. */
const isFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** Whether the new TPM has left the folder for its place. */
const isReplaced = (folder: string): boolean =>
  existsSync(join(folder, OBSOLETE)) &&
  !(['2', '1.2'] as const).some((version) => existsSync(join(newStateIn(folder), permanentFile(version))))

function obsoleteFile(directory: string, name: string): ObsoleteFile {
  const { size, mtimeMs } = statSync(join(directory, name))
  return { name, size, mtimeMs }
}

function complete(directory: string, folder: string): void {
  for (const name of isFolder(newStateIn(folder)) ? furtherFiles(folder) : [])
    renameSync(join(newStateIn(folder), name), join(directory, name))
  for (const obsolete of readObsolete(join(folder, OBSOLETE)))
    if (isStill(directory, obsolete)) unlinkSync(join(directory, obsolete.name))
  syncPath(directory)
  removeNewTpm(folder)
}

function isStill(directory: string, { name, size, mtimeMs }: ObsoleteFile): boolean {
  const now = statSync(join(directory, name), { throwIfNoEntry: false })
  return now?.isFile() === true && now.size === size && now.mtimeMs === mtimeMs
}

/**
 * What the list names of this directory. The directory may belong to another user, and then so may the list: a path that leads elsewhere is
 * none of ours.
 */
function readObsolete(path: string): ObsoleteFile[] {
  let list: unknown
  try {
    list = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
  const isOurs = (entry: ObsoleteFile | null): boolean =>
    typeof entry?.name === 'string' && basename(entry.name) === entry.name
  return Array.isArray(list) ? list.filter(isOurs) : []
}

/** @throws the system's error; none where the file system cannot sync a directory */
export function syncPath(path: string): void {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
  } finally {
    closeSync(fd)
  }
}
