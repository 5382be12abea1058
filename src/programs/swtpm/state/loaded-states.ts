/** The states of a TPM that is stored, opened with the keys of the command line. */
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import type { BlobType } from '../../../../contract/state-blobs.ts'
import { type Container, readContainer } from '../../../tpm/state/stored/container.ts'
import { FILE_ENVELOPE, keyBitsOf, MIGRATION_ENVELOPE } from '../../../tpm/state/stored/encryption.ts'
import { kindOfState } from '../../../tpm/state/stored/kind-of-state.ts'
import { openStateBlob, requireEncryption, type StateKeys } from '../../../tpm/state/stored/state-blob.ts'
import { damaged, type StateFault } from '../../../tpm/state/stored/state-fault.ts'
import { type StoredBlob, type StoredTpm, stateProblem } from '../../../tpm/state/stored/stored-tpm.ts'

/** One of a TPM's states, as far as it can be read. */
export interface LoadedState {
  readonly blob: StoredBlob
  readonly container?: Container
  /** What libtpms has written: secrets. */
  readonly plain?: Buffer
  readonly type?: BlobType | 'backup'
  readonly version?: TpmVersion
  /** Why it cannot be used. */
  readonly fault?: StateFault
}

export const loadStates = (stored: StoredTpm, keys: StateKeys): LoadedState[] =>
  stored.blobs.map((blob) => loadState(stored, blob, keys))

function loadState(stored: StoredTpm, blob: StoredBlob, keys: StateKeys): LoadedState {
  let container: Container | undefined
  try {
    container = readContainer(blob.bytes)
    if (stored.place.kind !== 'blob') requireEncryption(container, keys.file)
    const plain = openStateBlob(blob.bytes, keys)
    const kind = kindOfState(plain)
    if (kind === undefined) throw damaged('what is in it is no state of libtpms')
    if (stored.version !== undefined && kind.version !== stored.version)
      throw damaged(`it is that of a TPM ${kind.version === '2' ? '2.0' : '1.2'}`)
    // A file alone may have any name; in a TPM's place the name says which state it is.
    const type = stored.place.kind === 'blob' ? kind.type : blob.type
    if (
      kind.type === 'permanent'
        ? type !== 'permanent' && type !== 'backup'
        : type === 'permanent' || type === 'backup'
    )
      throw damaged(`it is no ${type === 'backup' ? 'permanent' : type} state`)
    return { blob, container, plain, type, version: kind.version }
  } catch (error) {
    return { blob, ...(container && { container }), fault: stateProblem(blob.name, error) }
  }
}

/** `aes-256-cbc`; undefined: in the clear. */
export const encryptionOf = (container: Container): { file?: string; migration?: string } => {
  const mode = (bits: 128 | 256 | 'any'): string => (bits === 'any' ? 'aes-cbc' : `aes-${bits}-cbc`)
  const file = keyBitsOf(container, FILE_ENVELOPE)
  const migration = keyBitsOf(container, MIGRATION_ENVELOPE)
  return { ...(file && { file: mode(file) }), ...(migration && { migration: mode(migration) }) }
}

export const wipe = (states: readonly LoadedState[]): void => {
  for (const { plain } of states) plain?.fill(0)
}
