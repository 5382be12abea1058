/**
 * The three parts of a TPM's state: their numbers in the PTM verbs (PTM_BLOB_TYPE_*), and libtpms's names for them, which
 * are part of the names of the state files.
 * @see swtpm_ioctls(3) PTM_GET_STATEBLOB
 */
export const STATE_BLOBS = {
  permanent: { type: 1, name: 'permall' },
  volatile: { type: 2, name: 'volatilestate' },
  savestate: { type: 3, name: 'savestate' },
} as const

export type BlobType = keyof typeof STATE_BLOBS
