/**
 * The part of the FUSE protocol that a character device in user space needs, in host byte order.
 * @see linux/fuse.h
 */
import { i32, packed, u32, u64 } from '../../contract/struct.ts'

export const FUSE_READ = 15
export const FUSE_WRITE = 16
export const FUSE_IOCTL = 39
export const CUSE_INIT = 4096

/** Our protocol version: the minor must be at least 11 for CUSE; 31 is what kernels since 5.x all speak. */
export const FUSE_MAJOR = 7
export const FUSE_MINOR = 31

/** Largest read and write passed in one request, in bytes. TPM commands are at most 4096; blobs come in pieces. */
export const MAX_TRANSFER_BYTES = 64 * 1024

export const fuseInHeader = packed({
  len: u32,
  opcode: u32,
  unique: u64,
  nodeid: u64,
  uid: u32,
  gid: u32,
  pid: u32,
  padding: u32,
})

export const fuseOutHeader = packed({ len: u32, error: i32, unique: u64 })

export const cuseInitIn = packed({ major: u32, minor: u32, unused: u32, flags: u32 })

/** Followed by ten spare words and "DEVNAME=x\0". */
export const cuseInitOut = packed({
  major: u32,
  minor: u32,
  unused: u32,
  flags: u32,
  maxRead: u32,
  maxWrite: u32,
  devMajor: u32,
  devMinor: u32,
})

export const CUSE_INIT_SPARE_BYTES = 40

export const fuseIoctlIn = packed({ fh: u64, flags: u32, cmd: u32, arg: u64, inSize: u32, outSize: u32 })
export const fuseIoctlOut = packed({ result: i32, flags: u32, inIovs: u32, outIovs: u32 })

export const fuseReadIn = packed({
  fh: u64,
  offset: u64,
  size: u32,
  readFlags: u32,
  lockOwner: u64,
  flags: u32,
  padding: u32,
})
/** Followed by the bytes. */
export const fuseWriteIn = packed({
  fh: u64,
  offset: u64,
  size: u32,
  writeFlags: u32,
  lockOwner: u64,
  flags: u32,
  padding: u32,
})
export const fuseWriteOut = packed({ size: u32, padding: u32 })
