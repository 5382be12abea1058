/** `swtpm state convert`: the same TPM in another kind of place, or in plain files that the C program reads. */

import { existsSync, fstatSync, lstatSync, readdirSync, realpathSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { readAt } from '../../../system/io/positioned-io.ts'
import { REMEDIES } from '../../../system/missing-things.ts'
import { LINEAR_HEADER_BYTES, readLinearHeader } from '../../../tpm/state/linear/linear-header.ts'
import { syncPath } from '../../../tpm/state/replacement.ts'
import { isTemporaryFile, journalFile, permanentFile, stateFile } from '../../../tpm/state/state-files.ts'
import { type Place, readStoredTpm, type StoredTpm } from '../../../tpm/state/stored/stored-tpm.ts'
import { removeIfThere } from '../../common/atomic-file.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { whileLocked } from './locked-place.ts'
import { filesOf, give, makeDirectory, rightsOf, writeSynced } from './new-directory.ts'
import { linearBlobsOf, putIntoDirectory, putIntoFile } from './put-states.ts'
import { versionOf } from './version-of.ts'

export interface Conversion {
  readonly from: Place
  /** As it was written; undefined: where it is. */
  readonly to: string | undefined
  readonly version: TpmVersion | undefined
  readonly overwrite: boolean
}

/** @returns what has been done, as a sentence @throws Fault; nothing has changed then */
export function convert({ from, to, version, overwrite }: Conversion): Promise<string> {
  if (from.kind === 'blob')
    throw new ToolFailure(
      `Cannot convert "${from.path}": it is one state, and no TPM; name a directory or a linear file`,
    )
  return whileLocked(from, () => {
    const stored = readStoredTpm(from, version)
    return to === undefined ? makePlain(stored) : copyTo(stored, targetOf(from, to), { version, overwrite })
  })
}

/** What the TPM's journal has goes into its file, where a program without journals looks. */
function makePlain({ place, blobs }: StoredTpm): string {
  if (place.kind !== 'dir')
    throw new ToolFailure(`Where to? "${place.path}" is a linear file: name a directory behind it`)
  const permanent = blobs.find(({ type }) => type === 'permanent')
  const [{ version = '2' } = {}] = permanent === undefined ? [] : [stateFile(permanent.name)]
  const journal = join(place.path, journalFile(version))
  if (permanent === undefined || permanent.from === 'file') {
    if (permanent !== undefined && existsSync(journal)) {
      // It belongs to no file any more, and would only be in the way of one who looks.
      syncPath(place.path)
      removeIfThere(journal)
    }
    return `"${place.path}" has plain files: nothing is in a journal`
  }
  const file = join(place.path, permanentFile(version))
  const made = join(place.path, permanentFile(version).replace(/^tpm/, 'TMP'))
  removeIfThere(made)
  try {
    writeSynced(made, permanent.bytes)
    give(made, rightsOf(file))
    renameSync(made, file)
  } finally {
    removeIfThere(made)
  }
  syncPath(place.path)
  removeIfThere(journal)
  return `"${place.path}" has plain files: the newest state was in the journal, and is in "${permanentFile(version)}" now`
}

/** Without a scheme it is the other kind: that is what convert is for. */
function targetOf(from: Place, word: string): Place {
  const [, scheme, rest = ''] = /^(dir|file):\/\/(.*)$/s.exec(word) ?? []
  const path = scheme === undefined ? word : rest
  const kind =
    scheme === undefined ? (from.kind === 'dir' ? 'linear' : 'dir') : scheme === 'dir' ? 'dir' : 'linear'
  if (path === '') throw new ToolFailure('The second place has no path')
  if (existsSync(path) && realpathSync(path) === realpathSync(from.path))
    throw new ToolFailure(`"${path}" is the place where the TPM is`)
  const parent = dirname(path.replace(/(?<=.)\/+$/, ''))
  if (!existsSync(parent))
    throw new ToolFailure(
      `Cannot make "${path}": "${parent}" is not there; make it with \`${REMEDIES.directory(parent).command}\``,
    )
  const status = lstatSync(path, { throwIfNoEntry: false })
  if (kind === 'linear' && status?.isDirectory())
    throw new ToolFailure(`"${path}" is a directory: write dir://${path} for one, or name a file`)
  if (kind === 'dir' && status !== undefined && !status.isDirectory())
    throw new ToolFailure(`"${path}" is no directory: write file://${path} for a linear file`)
  return { kind, path }
}

type Choice = Pick<Conversion, 'version' | 'overwrite'>

async function copyTo(stored: StoredTpm, to: Place, choice: Choice): Promise<string> {
  await (to.kind === 'dir' ? copyToDirectory : copyToFile)(stored, to, choice)
  return `"${to.path}" has the TPM now, and so has "${stored.place.path}": start one of them only, or remove it`
}

async function copyToFile(stored: StoredTpm, to: Place, { overwrite }: Choice): Promise<void> {
  const { place, blobs, insecureSeed } = stored
  if (insecureSeed !== undefined)
    throw new ToolFailure(
      `Cannot convert "${place.path}": a linear file cannot tell that its TPM was made with --seed-insecure`,
    )
  const states = linearBlobsOf(blobs)
  const rights = rightsOf(fileIn(stored))
  if (lstatSync(to.path, { throwIfNoEntry: false }) === undefined) {
    putIntoFile(to.path, undefined, states, rights)
    return
  }
  await whileLocked(to, (fd) => {
    const { kind } = readLinearHeader(readAt(fd, 0, LINEAR_HEADER_BYTES))
    if (kind === 'foreign' && fstatSync(fd).isFile())
      throw new ToolFailure(`Cannot write "${to.path}": it is not empty, and no TPM's; name another place`)
    if (kind !== 'empty' && !overwrite) throw taken(to)
    putIntoFile(to.path, fd, states, rights)
  })
}

async function copyToDirectory(
  stored: StoredTpm,
  to: Place,
  { version: given, overwrite }: Choice,
): Promise<void> {
  const version = stored.version ?? versionOf(stored, given)
  const files = filesOf(stored, version)
  const rights = rightsOf(fileIn(stored))
  if (lstatSync(to.path, { throwIfNoEntry: false }) === undefined) {
    makeDirectory(to.path, files, rights)
    return
  }
  await whileLocked(to, () => {
    if (readdirSync(to.path).some((name) => stateFile(name) !== undefined) && !overwrite) throw taken(to)
    putIntoDirectory(
      to.path,
      version,
      files,
      rights,
      (name) => stateFile(name) !== undefined || isTemporaryFile(name),
    )
  })
}

/** Whose rights the copy is to have. */
const fileIn = ({ place, blobs }: StoredTpm): string =>
  place.kind === 'dir' ? join(place.path, basename(blobs[0]?.name ?? '')) : place.path

const taken = ({ path }: Place): ToolFailure =>
  new ToolFailure(`Cannot write "${path}": there is a TPM already; name another place, or say --overwrite`)
