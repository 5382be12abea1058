/** The state of a TPM that is not running here, or that another process runs: read as it was at one moment, and never written. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { MAX_STATE_FILE_BYTES } from '../../../../contract/limits.ts'
import { type BlobType, STATE_BLOBS } from '../../../../contract/state-blobs.ts'
import { MAX_JOURNAL_BYTES } from '../../../../contract/state-format.ts'
import { readAt } from '../../../system/io/positioned-io.ts'
import { reasonOf } from '../../../system/reason.ts'
import { SEED_MARKER } from '../insecure-seed.ts'
import { LINEAR_BLOBS, LINEAR_HEADER_BYTES, readLinearHeader } from '../linear/linear-header.ts'
import { pendingFiles } from '../replacement.ts'
import { backupFile, journalFile, stateFile, stateFileName } from '../state-files.ts'
import { newestState } from './journal.ts'
import { damaged, StateFault } from './state-fault.ts'

export interface Place {
  /** `blob`: a single state, as GET_STATEBLOB gives it, or a file of a state directory. */
  readonly kind: 'dir' | 'linear' | 'blob'
  readonly path: string
}

/** One of a TPM's states as it is stored: not checked, and perhaps encrypted. */
export interface StoredBlob {
  readonly type: BlobType | 'backup'
  /** What messages call it. */
  readonly name: string
  readonly bytes: Buffer
  readonly from: 'file' | 'journal'
}

export interface StoredTpm {
  readonly place: Place
  /** Undefined where only the contents can tell. */
  readonly version: TpmVersion | undefined
  readonly blobs: readonly StoredBlob[]
  /** The number of --seed-insecure that it was made with: it has no secrets. */
  readonly insecureSeed: string | undefined
}

/** The name of a state in the place of a TPM, such as `tpm2-00.permall`, and what is wrong with it. */
export const stateProblem = (name: string, error: unknown): StateFault =>
  new StateFault(
    error instanceof StateFault ? error.kind : 'place',
    `Cannot use state "${name}": ${reasonOf(error)}`,
    { cause: error },
  )

/** What a word of the command line names: `dir://…`, `file://…`, or a path. @throws StateFault `place` */
export function findPlace(word: string): Place {
  const [, scheme, rest = ''] = /^(dir|file):\/\/(.*)$/s.exec(word) ?? []
  const path = scheme === undefined ? word : rest
  if (path === '') throw new StateFault('place', 'the place of the state has no path')
  let status: Stats
  try {
    status = statSync(path)
  } catch (error) {
    throw new StateFault('place', `Cannot look at "${path}": ${reasonOf(error)}`, { cause: error })
  }
  if (status.isDirectory()) {
    if (scheme === 'file') throw new StateFault('place', `"${path}" is a directory: write dir://${path}`)
    return { kind: 'dir', path }
  }
  if (scheme === 'dir') throw new StateFault('place', `"${path}" is no directory: write file://${path}`)
  if (!status.isFile() && !status.isBlockDevice())
    throw new StateFault('place', `"${path}" is neither a directory, nor a file or block device`)
  return { kind: scheme === 'file' || status.isBlockDevice() || looksLinear(path) ? 'linear' : 'blob', path }
}

function looksLinear(path: string): boolean {
  const { kind } = withFile(path, (fd) => readLinearHeader(readAt(fd, 0, LINEAR_HEADER_BYTES)))
  return kind === 'state' || kind === 'damaged'
}

/**
 * @param version wanted where a directory has TPMs of both
 * @throws StateFault
 */
export function readStoredTpm(place: Place, version?: TpmVersion): StoredTpm {
  return steady(place, () => {
    switch (place.kind) {
      case 'dir':
        return readDirectory(place, version)
      case 'linear':
        return readLinear(place)
      case 'blob':
        return readBlob(place)
    }
  })
}

/** A TPM that runs stores in one step each time, but we read in several. */
const ATTEMPTS = 50
const PAUSE_MS = 5

function steady(place: Place, read: () => StoredTpm): StoredTpm {
  let before = attempt(read)
  for (let tries = 1; tries < ATTEMPTS; tries++) {
    const now = attempt(read)
    if (isSame(before, now)) {
      if ('fault' in now) throw now.fault
      return now
    }
    before = now
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
  }
  throw new StateFault(
    'place',
    `Cannot read "${place.path}": the TPM there stores without a pause; try again`,
  )
}

/** What goes wrong may go wrong for the moment: a file that was replaced meanwhile. */
function attempt(read: () => StoredTpm): StoredTpm | { fault: StateFault } {
  try {
    return read()
  } catch (error) {
    if (error instanceof StateFault) return { fault: error }
    throw error
  }
}

function isSame(one: ReturnType<typeof attempt>, other: ReturnType<typeof attempt>): boolean {
  if ('fault' in one || 'fault' in other)
    return 'fault' in one && 'fault' in other && one.fault.message === other.fault.message
  return (
    one.blobs.length === other.blobs.length &&
    one.blobs.every(
      ({ name, bytes }, at) => name === other.blobs[at]?.name && bytes.equals(other.blobs[at].bytes),
    )
  )
}

function readDirectory(place: Place, wanted: TpmVersion | undefined): StoredTpm {
  const pending = pendingFiles(place.path)
  const there = attemptIo(place.path, () => readdirSync(place.path)).filter((name) => !pending.has(name))
  const names = [...there, ...[...pending.keys()].filter((name) => pending.get(name) !== undefined)]
  const versions = new Set(names.flatMap((name) => stateFile(name)?.version ?? []))
  if (versions.size === 2 && wanted === undefined)
    throw new StateFault('place', `"${place.path}" has a TPM 2.0 and a TPM 1.2: say --tpm2 or --tpm12`)
  const version = wanted ?? [...versions][0]
  if (version === undefined || !versions.has(version)) {
    const which = wanted === undefined ? 'TPM' : `TPM ${wanted === '2' ? '2.0' : '1.2'}`
    throw new StateFault(
      'place',
      `There is no ${which} in "${place.path}": no file like ${stateFileName('permanent', wanted ?? '2')}`,
    )
  }
  const file = (name: string, limit = MAX_STATE_FILE_BYTES): Buffer | undefined =>
    names.includes(name) ? readState(pending.get(name) ?? join(place.path, name), name, limit) : undefined
  const blobs: StoredBlob[] = []
  for (const type of Object.keys(STATE_BLOBS) as BlobType[]) {
    const name = stateFileName(type, version)
    const bytes = file(name)
    if (bytes === undefined) continue
    if (type !== 'permanent') blobs.push({ type, name, bytes, from: 'file' })
    else
      blobs.push({
        type,
        name,
        ...newestOf(name, bytes, () => file(journalFile(version), MAX_JOURNAL_BYTES)),
      })
  }
  const backup = file(backupFile(version))
  if (backup !== undefined)
    blobs.push({ type: 'backup', name: backupFile(version), bytes: backup, from: 'file' })
  return { place, version, blobs, insecureSeed: markerIn(place.path) }
}

function newestOf(
  name: string,
  bytes: Buffer,
  journal: () => Buffer | undefined,
): Pick<StoredBlob, 'bytes' | 'from'> {
  try {
    const { blob, from } = newestState(bytes, journal())
    return { bytes: blob, from }
  } catch (error) {
    throw stateProblem(name, error)
  }
}

function markerIn(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, SEED_MARKER), 'latin1').trim().slice(0, 20).replace(/\D/g, '?')
  } catch {
    return undefined
  }
}

function readLinear(place: Place): StoredTpm {
  return withFile(place.path, (fd) => {
    const header = readLinearHeader(readAt(fd, 0, LINEAR_HEADER_BYTES))
    if (header.kind === 'empty')
      throw new StateFault('place', `There is no TPM in "${place.path}": it is empty`)
    if (header.kind === 'foreign') throw damaged(`Cannot use state file "${place.path}": it is no TPM's`)
    if (header.kind === 'damaged')
      throw damaged(`Cannot use state file "${place.path}": its first 8 bytes are damaged`)
    const types = Object.keys(STATE_BLOBS) as BlobType[]
    const blobs: StoredBlob[] = []
    for (const [at, name] of LINEAR_BLOBS.entries()) {
      const { offset = 0, dataBytes = 0 } = header.slots[at] ?? {}
      const type = types.find((each) => STATE_BLOBS[each].name === name)
      if (offset === 0 || type === undefined) continue
      const slot = `${name} of ${basename(place.path)}`
      if (offset < LINEAR_HEADER_BYTES || dataBytes > MAX_STATE_FILE_BYTES)
        throw damaged(`Cannot use state "${slot}": the header says ${dataBytes} bytes at ${offset}`)
      const bytes = readAt(fd, offset, dataBytes)
      if (bytes.length < dataBytes)
        throw damaged(
          `Cannot use state "${slot}": the file ends ${dataBytes - bytes.length} bytes before it does`,
        )
      blobs.push({ type, name: slot, bytes, from: 'file' })
    }
    if (blobs.length === 0)
      throw new StateFault('place', `There is no TPM in "${place.path}": it has no state`)
    return { place, version: undefined, blobs, insecureSeed: undefined }
  })
}

/** Which of the states it is only its contents tell. */
function readBlob(place: Place): StoredTpm {
  const name = basename(place.path)
  const bytes = readState(place.path, name, MAX_STATE_FILE_BYTES, 0)
  if (bytes === undefined) throw new StateFault('place', `"${place.path}" has just gone`)
  const { version, blob } = stateFile(name) ?? {}
  const type = (Object.keys(STATE_BLOBS) as BlobType[]).find((each) => STATE_BLOBS[each].name === blob)
  const isBackup = version !== undefined && name === backupFile(version)
  return {
    place,
    version,
    blobs: [{ type: isBackup ? 'backup' : (type ?? 'permanent'), name, bytes, from: 'file' }],
    insecureSeed: undefined,
  }
}

/** Undefined: there is none. A link is not followed, which another user may have put there. */
function readState(
  path: string,
  name: string,
  limit: number,
  follow = constants.O_NOFOLLOW,
): Buffer | undefined {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | follow)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw stateProblem(name, error)
  }
  try {
    const status = fstatSync(fd)
    if (!status.isFile()) throw damaged('it is no regular file')
    if (status.size > limit) throw damaged(`its ${status.size} bytes are more than a state has`)
    return readAt(fd, 0, status.size)
  } catch (error) {
    throw stateProblem(name, error)
  } finally {
    closeSync(fd)
  }
}

function withFile<T>(path: string, use: (fd: number) => T): T {
  return attemptIo(path, () => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return use(fd)
    } finally {
      closeSync(fd)
    }
  })
}

/** @throws StateFault for the system's errors */
function attemptIo<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (error instanceof StateFault) throw error
    throw new StateFault('place', `Cannot read "${path}": ${reasonOf(error)}`, { cause: error })
  }
}
