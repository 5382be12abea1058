/**
 * How a state is kept in a file, and moved in a migration: numbers are big-endian.
 * @see native/state/blob.h, native/state/blob_crypto.h, native/state/journal.h, which draw the layouts
 */

export const BLOB_HEADER_BYTES = 10
export const BLOB_VERSION = 2
/** The lowest version whose readers understand what is written. */
export const BLOB_MIN_VERSION = 1

export const BLOB_FLAG = {
  /** with the file key */
  ENCRYPTED: 0x01,
  /** with the migration key */
  MIGRATION_ENCRYPTED: 0x02,
  /** the payload is a migration field, which holds the inner fields */
  MIGRATION_DATA: 0x04,
  FILE_KEY_256: 0x08,
  MIGRATION_KEY_256: 0x10,
} as const

export const BLOB_TAG = {
  DATA: 1,
  ENCRYPTED_DATA: 2,
  HMAC: 3,
  MIGRATION_DATA: 4,
  ENCRYPTED_MIGRATION_DATA: 5,
  IV_ENCRYPTED_DATA: 6,
  IV_ENCRYPTED_MIGRATION_DATA: 7,
} as const

/** A slot of a journal: "swtpmjrn", a digest of what follows up to the end of the blob, and from here on what it covers. */
export const JOURNAL_CHECKSUM_AT = 8
export const JOURNAL_CHECKED_FROM = 40
export const JOURNAL_HEADER_BYTES = 88
export const JOURNAL_SMALLEST_SLOT_BYTES = 16 * 1024
export const MAX_JOURNAL_BYTES = 16 * 1024 * 1024
