/** A state as it is stored, or as a migration moves it, opened and made. */
import { BLOB_FLAG, BLOB_TAG } from '../../../../contract/state-format.ts'
import { type ContainerHeader, makeContainer, makeField, readContainer } from './container.ts'
import { FILE_ENVELOPE, MIGRATION_ENVELOPE, openLayer, sealLayer } from './encryption.ts'
import { damaged, StateFault } from './state-fault.ts'

export interface StateKeys {
  readonly file?: Buffer | undefined
  readonly migration?: Buffer | undefined
}

/**
 * What libtpms has written: it holds the TPM's secrets.
 * @param blob a file of a state directory, a blob of a linear file, or what GET_STATEBLOB has given
 * @throws StateFault
 */
export function openStateBlob(blob: Buffer, keys: StateKeys): Buffer {
  const container = readContainer(blob)
  const { version, flags } = container
  const isMigration = (flags & BLOB_FLAG.MIGRATION_DATA) !== 0
  if (!isMigration && (flags & BLOB_FLAG.MIGRATION_ENCRYPTED) !== 0)
    throw damaged(`its flags 0x${flags.toString(16)} contradict each other`)
  const payload = isMigration ? openLayer(container, MIGRATION_ENVELOPE, keys.migration) : container.payload
  return openLayer({ version, flags, payload }, FILE_ENVELOPE, keys.file)
}

/** The reverse of {@link openStateBlob}, for a file. */
export function makeStoredState(plain: Buffer, key: Buffer | undefined): Buffer {
  const { flags, payload } = sealLayer(plain, FILE_ENVELOPE, key)
  return makeContainer(flags, payload)
}

/** As SET_STATEBLOB takes it of a client that has no keys. */
export const makeMigrationBlob = (plain: Buffer): Buffer =>
  makeContainer(BLOB_FLAG.MIGRATION_DATA, makeField(BLOB_TAG.MIGRATION_DATA, makeField(BLOB_TAG.DATA, plain)))

/** A swtpm that is given a key takes no state in the clear from its files. @throws StateFault `key` */
export function requireEncryption({ flags }: ContainerHeader, key: Buffer | undefined): void {
  if (key !== undefined && (flags & BLOB_FLAG.ENCRYPTED) === 0)
    throw new StateFault('key', 'it is not encrypted, and a key was given; leave --key out')
}
