/**
 * The PTM structures, each once, for ioctl(2) and for the control channel.
 * @see swtpm_ioctls(3)
 */
import { struct, trailing, u8, u32, u64 } from './struct.ts'

/** Bytes of a state blob in one ioctl. */
export const PTM_STATE_BLOB_SIZE = 3072
/** Bytes of GET_INFO text in one ioctl. */
export const PTM_GETINFO_SIZE = 3072
/** Bytes that PTM_HASH_DATA takes in one ioctl. */
export const PTM_HASH_DATA_SIZE = 4096

export const PTM_INIT_FLAG_DELETE_VOLATILE = 1
export const PTM_STATE_FLAG_DECRYPTED = 1
export const PTM_STATE_FLAG_ENCRYPTED = 2
export const PTM_CONFIG_FLAG_FILE_KEY = 1
export const PTM_CONFIG_FLAG_MIGRATION_KEY = 2

/** No request fields, or no more than a result in the response. */
export const nothing = struct({})
export const ptmRes = struct({ tpmResult: u32 })

/** ptm_cap: what the ioctl answers, a plain 64-bit mask without a result. */
export const ptmCap = struct({ caps: u64 })
/** ptm_cap_n: what the control channel answers. */
export const ptmCapN = struct({ tpmResult: u32, caps: u32 })

export const ptmEst = struct({ tpmResult: u32, bit: u8 })
export const ptmInitReq = struct({ initFlags: u32 })
export const ptmLocReq = struct({ loc: u8 })
export const ptmHdataReq = struct({ length: u32, data: trailing(PTM_HASH_DATA_SIZE) })

export const ptmGetstateReq = struct({ stateFlags: u32, type: u32, offset: u32 })
export const ptmGetstateResp = struct({
  tpmResult: u32,
  stateFlags: u32,
  /** Length of the whole blob. */
  totLength: u32,
  /** Length of `data`. */
  length: u32,
  data: trailing(PTM_STATE_BLOB_SIZE),
})

/** {@link ptmGetstateResp} up to its data: the result, and zeros. */
export const ptmGetstateFailure = struct({ tpmResult: u32, stateFlags: u32, totLength: u32, length: u32 })

export const ptmSetstateReq = struct({
  stateFlags: u32,
  type: u32,
  length: u32,
  data: trailing(PTM_STATE_BLOB_SIZE),
})

export const ptmGetconfigResp = struct({ tpmResult: u32, flags: u32 })
export const ptmSetbuffersizeReq = struct({ bufferSize: u32 })
export const ptmSetbuffersizeResp = struct({ tpmResult: u32, bufferSize: u32, minSize: u32, maxSize: u32 })

/** A flag of GET_INFO, and of TPMLIB_GetInfo(): the profiles that libtpms has; from 0.10 on, older ones answer nothing. */
export const INFO_AVAILABLE_PROFILES = 64

export const ptmGetinfoReq = struct({ flags: u64, offset: u32, pad: u32 })
export const ptmGetinfoResp = struct({
  tpmResult: u32,
  totLength: u32,
  length: u32,
  /** Text with its terminating NUL. */
  buffer: trailing(PTM_GETINFO_SIZE),
})

export const ptmLockstorageReq = struct({ retries: u32 })
