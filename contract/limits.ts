/** Sizes and bounds that two programs must agree on. */

/** The largest frame body that an engine takes, in bytes: SET_STATEBLOB with {@link MAX_STATE_BLOB_BYTES}, and room. */
export const MAX_REQUEST_BODY_BYTES = 1 << 20
/** The largest frame body that the supervisor takes of an engine, in bytes. */
export const MAX_REPLY_BODY_BYTES = 4 << 20
/** Descriptors that travel with one frame. */
export const MAX_FRAME_FDS = 3

/** The largest state blob that migration moves, in bytes. No state of any libtpms comes near it. */
export const MAX_STATE_BLOB_BYTES = 512 * 1024
/** The largest state that a backend keeps, in bytes. */
export const MAX_STATE_FILE_BYTES = 2 << 20
/** The profile of a new TPM 2.0: JSON, in bytes. */
export const MAX_PROFILE_BYTES = 64 * 1024
/** A state key is AES-128 or AES-256. */
export const MAX_KEY_BYTES = 32

/** The largest command or response that the kernel's drivers and libtpms exchange, in bytes. */
export const TPM_BUFFER_SIZE_BYTES = 4096
/** TCG's optional prefix of TPM 2.0 commands: u32 8, u8 locality, u32 length. */
export const TPM_PREFIX_SIZE_BYTES = 9

export const HIGHEST_LOCALITY = 4

/** The memory that engines leave to each other, in bytes; what is not used takes no room. */
export const SHARED_STATE_SIZE_BYTES = 2 << 20
/** Where in it the number of the last FUSE request that an engine has read is: u64, host byte order. */
export const SHARED_STATE_LAST_UNIQUE_OFFSET = 16
/** What a checkpoint holds at most, in bytes. Beyond it a TPM cannot continue in another engine. */
export const MAX_CHECKPOINT_PERMANENT_BYTES = MAX_STATE_BLOB_BYTES
export const MAX_CHECKPOINT_VOLATILE_BYTES = 256 * 1024
