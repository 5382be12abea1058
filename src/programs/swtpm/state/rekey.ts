/** `swtpm state rekey`: the same TPM under another key, under one for the first time, or under none. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { isTemporaryFile, stateFile } from '../../../tpm/state/state-files.ts'
import { makeStoredState } from '../../../tpm/state/stored/state-blob.ts'
import {
  type Place,
  readStoredTpm,
  type StoredBlob,
  type StoredTpm,
} from '../../../tpm/state/stored/stored-tpm.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { loadStates, wipe } from './loaded-states.ts'
import { whileLocked } from './locked-place.ts'
import { filesOf, rightsOf } from './new-directory.ts'
import { linearBlobsOf, putIntoDirectory, putIntoFile } from './put-states.ts'
import { versionOf } from './version-of.ts'

export interface Rekeying {
  readonly place: Place
  readonly version: TpmVersion | undefined
  readonly oldKey: Buffer | undefined
  /** Undefined: none. */
  readonly newKey: Buffer | undefined
}

/** @returns what has been done, as a sentence @throws Fault; nothing has changed then */
export function rekey({ place, version, oldKey, newKey }: Rekeying): Promise<string> {
  if (place.kind === 'blob')
    throw new ToolFailure(
      `Cannot give "${place.path}" another key: it is one state, and no TPM; name a directory or a linear file`,
    )
  return whileLocked(place, (fd) => {
    const stored = readStoredTpm(place, version)
    const blobs = withNewKey(stored, oldKey, newKey)
    if (place.kind === 'linear') putIntoFile(place.path, fd, linearBlobsOf(blobs), rightsOf(place.path))
    else replaceIn(place.path, { ...stored, blobs }, stored.version ?? versionOf(stored, version))
    const count = `${blobs.length} state${blobs.length === 1 ? '' : 's'} of "${place.path}"`
    return newKey === undefined
      ? `${count} ${blobs.length === 1 ? 'is' : 'are'} in the clear now`
      : `${count} ${blobs.length === 1 ? 'is' : 'are'} encrypted with the new key now (aes-${newKey.length * 8}-cbc)`
  })
}

function withNewKey(stored: StoredTpm, oldKey: Buffer | undefined, newKey: Buffer | undefined): StoredBlob[] {
  const states = loadStates(stored, { file: oldKey })
  try {
    return states.map(({ blob, plain, fault }) => {
      if (plain === undefined) throw fault
      return { ...blob, bytes: makeStoredState(plain, newKey), from: 'file' }
    })
  } finally {
    wipe(states)
  }
}

/** What else the TPM has there (a journal) holds states under the old key, and goes. */
function replaceIn(directory: string, stored: StoredTpm, version: TpmVersion): void {
  const files = filesOf(stored, version)
  const permanent = stored.blobs.find(({ type }) => type === 'permanent')
  if (permanent === undefined) throw new ToolFailure(`"${directory}" has no permanent state`)
  const names = new Set(readdirSync(directory))
  if (!names.has(permanent.name)) throw new ToolFailure(`"${directory}" has just changed; try again`)
  putIntoDirectory(
    directory,
    version,
    files,
    rightsOf(join(directory, permanent.name)),
    (name) => stateFile(name)?.version === version || isTemporaryFile(name),
  )
}
