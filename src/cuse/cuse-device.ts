/**
 * A character device in user space: opens /dev/cuse, tells the kernel the device's name and numbers, and holds the
 * descriptor as long as the device is to exist. The engine serves a duplicate of it.
 * @see linux/fuse.h, fs/fuse/cuse.c
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { HOST } from '../../contract/struct.ts'
import { SwtpmError } from '../system/errors.ts'
import { reasonOf } from '../system/reason.ts'
import {
  CUSE_INIT,
  CUSE_INIT_SPARE_BYTES,
  cuseInitIn,
  cuseInitOut,
  FUSE_MAJOR,
  FUSE_MINOR,
  fuseInHeader,
} from './fuse-protocol.ts'
import { FuseReply } from './fuse-reply.ts'

/** Largest read and write passed in one request, in bytes. TPM commands are at most 4096; blobs come in pieces. */
const MAX_TRANSFER_BYTES = 64 * 1024
const INIT_BUFFER_BYTES = 8192
/** What the kernel needs at least to speak CUSE. */
const MIN_FUSE_MINOR = 11

export interface CuseDeviceOptions {
  /** Name below /dev. */
  readonly name: string
  /** 0: the kernel chooses. */
  readonly major: number
  readonly minor: number
}

export class CuseDevice {
  readonly fd: number
  readonly path: string

  private constructor(fd: number, path: string) {
    this.fd = fd
    this.path = path
  }

  /**
   * Makes /dev/NAME; when it returns the node exists.
   * @throws SwtpmError SWTPM_ERR_DEVICE_EXISTS, SWTPM_ERR_DEVICE
   */
  static create(options: CuseDeviceOptions): CuseDevice {
    const path = `/dev/${options.name}`
    if (existsSync(path)) {
      throw new SwtpmError(
        'SWTPM_ERR_DEVICE_EXISTS',
        `Cannot create device "${path}": it already exists; choose another name`,
      )
    }
    const fd = openCuse()
    try {
      handshake(fd, options)
    } catch (error) {
      closeSync(fd)
      if (error instanceof SwtpmError) throw error
      throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot create device "${path}": ${reasonOf(error)}`, {
        cause: error,
      })
    }
    return new CuseDevice(fd, path)
  }

  /** Takes the device away; clients that have it open get errors from then on. */
  close(): void {
    closeSync(this.fd)
  }
}

function openCuse(): number {
  try {
    return openSync('/dev/cuse', 'r+')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const hint =
      code === 'ENOENT' || code === 'ENODEV'
        ? '; load the kernel module with `modprobe cuse`'
        : code === 'EACCES' || code === 'EPERM'
          ? '; this needs root rights'
          : ''
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot open "/dev/cuse": ${reasonOf(error)}${hint}`, {
      cause: error,
    })
  }
}

/** The kernel speaks first: CUSE_INIT. It makes the node while it takes our answer. */
function handshake(fd: number, { name, major, minor }: CuseDeviceOptions): void {
  const buffer = Buffer.alloc(INIT_BUFFER_BYTES)
  const request = buffer.subarray(0, readSync(fd, buffer))
  const header = fuseInHeader.decode(request, HOST)
  if (header.opcode !== CUSE_INIT) {
    throw new SwtpmError('SWTPM_ERR_DEVICE', `/dev/cuse sent request ${header.opcode} instead of CUSE_INIT`)
  }
  const init = cuseInitIn.decode(request.subarray(fuseInHeader.size), HOST)
  if (init.major !== FUSE_MAJOR || init.minor < MIN_FUSE_MINOR) {
    throw new SwtpmError(
      'SWTPM_ERR_DEVICE',
      `The kernel speaks FUSE ${init.major}.${init.minor}, 7.11 is needed`,
    )
  }
  const answer = cuseInitOut.encode(
    {
      major: FUSE_MAJOR,
      minor: Math.min(FUSE_MINOR, init.minor),
      unused: 0,
      flags: 0,
      maxRead: MAX_TRANSFER_BYTES,
      maxWrite: MAX_TRANSFER_BYTES,
      devMajor: major,
      devMinor: minor,
    },
    HOST,
  )
  const info = Buffer.from(`DEVNAME=${name}\0`)
  new FuseReply(fd, header.unique).data(answer, Buffer.alloc(CUSE_INIT_SPARE_BYTES), info)
}
