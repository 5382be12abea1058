/**
 * A character device in user space: opens /dev/cuse, tells the kernel the device's name and numbers, and holds the
 * descriptor as long as the device is to exist. The engine serves a duplicate of it.
 * @see linux/fuse.h, fs/fuse/cuse.c
 */
import { closeSync, readFileSync, readSync } from 'node:fs'
import { HOST } from '../../contract/struct.ts'
import { SwtpmError } from '../system/errors.ts'
import { type DeviceDirectory, type DeviceNumbers, isDevice } from '../system/io/device-directory.ts'
import { CUSE, openDeviceMaker } from '../system/io/device-maker.ts'
import { check } from '../system/native/check.ts'
import { native } from '../system/native/load.ts'
import { reasonOf } from '../system/reason.ts'
import {
  CUSE_INIT,
  CUSE_INIT_SPARE_BYTES,
  cuseInitIn,
  cuseInitOut,
  FUSE_MAJOR,
  FUSE_MINOR,
  fuseInHeader,
  MAX_TRANSFER_BYTES,
} from './fuse-protocol.ts'
import { FuseReply } from './fuse-reply.ts'
import { refusal } from './refusal.ts'

const INIT_BUFFER_BYTES = 8192
/** What the kernel needs at least to speak CUSE. */
const MIN_FUSE_MINOR = 11
/** How long the program may take that makes the nodes where the kernel does not. */
const NODE_TIMEOUT_MS = 2000

export interface CuseDeviceOptions {
  /** Name below /dev. */
  readonly name: string
  /** 0: the kernel chooses. */
  readonly major: number
  readonly minor: number
  /** The new root directory, where there is one. */
  readonly chroot?: string | undefined
}

export class CuseDevice {
  readonly fd: number
  readonly path: string

  /** One that is there. */
  constructor(fd: number, path: string) {
    this.fd = fd
    this.path = path
  }

  /**
   * Makes /dev/NAME; when it returns the node exists, and is this device's.
   * @throws SwtpmError SWTPM_ERR_DEVICE_EXISTS, SWTPM_ERR_DEVICE
   */
  static async create(options: CuseDeviceOptions, devices: DeviceDirectory): Promise<CuseDevice> {
    const path = `/dev/${options.name}`
    refuseTaken(options, devices)
    const fd = openDeviceMaker(CUSE, devices, options.chroot ?? '')
    try {
      handshake(fd, options)
      // The kernel makes the device while it takes our answer, or else hangs up.
      if (check(native.isHungUp(fd), 'look at the device') === 1)
        throw new SwtpmError(
          'SWTPM_ERR_DEVICE',
          `Cannot create device "${path}"${refusal(options.name, options)}`,
        )
      await expectNode(options, devices)
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

/**
 * In a devtmpfs the kernel would leave what has the name as it is. Elsewhere it may be the node for our device, which was made
 * before.
 */
function refuseTaken({ name, major, minor }: CuseDeviceOptions, devices: DeviceDirectory): void {
  const found = devices.find(name)
  if (found === 'none') return
  const isNode = !devices.isDevtmpfs && typeof found === 'object'
  if (isNode && major !== 0 && isDevice(found, { major, minor })) return
  const numbers = isNode ? `, or give its numbers: --maj ${found.major} --min ${found.minor}` : ''
  throw new SwtpmError(
    'SWTPM_ERR_DEVICE_EXISTS',
    `Cannot create device "/dev/${name}": it already exists; choose another name${numbers}`,
  )
}

/** @throws SwtpmError SWTPM_ERR_DEVICE */
async function expectNode({ name, major, minor }: CuseDeviceOptions, devices: DeviceDirectory) {
  const numbers = major === 0 ? numbersOf(name) : { major, minor }
  if (await devices.waitFor(name, numbers, NODE_TIMEOUT_MS)) return
  const { major: m, minor: n } = numbers ?? { major: 'MAJOR', minor: 'MINOR' }
  throw new SwtpmError(
    'SWTPM_ERR_DEVICE',
    devices.isDevtmpfs
      ? `Cannot create device "/dev/${name}": the kernel has made the device ${m}:${n}, and no node for it; \`dmesg\` says why`
      : `Cannot create device "/dev/${name}": "/dev" is not the kernel's devtmpfs, and nothing has made the node; ` +
          `mount a devtmpfs there, or before the start run \`mknod /dev/${name} c ${m} ${n}\` and give --maj ${m} --min ${n}`,
  )
}

/** The numbers that the kernel has chosen; undefined where there is no /sys. */
function numbersOf(name: string): DeviceNumbers | undefined {
  try {
    const [major, minor] = readFileSync(`/sys/class/cuse/${name}/dev`, 'utf8').split(':').map(Number)
    return { major: major as number, minor: minor as number }
  } catch {
    return undefined
  }
}

/** The kernel speaks first: CUSE_INIT. */
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
