/**
 * Asks the kernel for a /dev/tpmN whose other end is ours.
 * @see linux/vtpm_proxy.h, Documentation/security/tpm/tpm_vtpm_proxy.rst
 */

import { closeSync, existsSync } from 'node:fs'
import type { TpmVersion } from '../../contract/engine-options.ts'
import { HOST, struct, u32 } from '../../contract/struct.ts'
import { SwtpmError } from '../system/errors.ts'
import { comesTrue, type DeviceDirectory, type DeviceNumbers } from '../system/io/device-directory.ts'
import { openDeviceMaker, VTPMX } from '../system/io/device-maker.ts'
import { ioctl } from '../system/io/ioctl.ts'
import { check } from '../system/native/check.ts'
import { native } from '../system/native/load.ts'
import { reasonOf } from '../system/reason.ts'

/** _IOWR(0xa1, 0x00, struct vtpm_proxy_new_dev) */
const VTPM_PROXY_IOC_NEW_DEV = 0xc014a100
const VTPM_PROXY_FLAG_TPM2 = 1

const vtpmProxyNewDev = struct({ flags: u32, tpmNum: u32, fd: u32, major: u32, minor: u32 })

export interface NewDevice extends DeviceNumbers {
  readonly version: TpmVersion
  /** N of /dev/tpmN. */
  readonly tpmNum: number
  /** Our end: commands are read from it, responses written to it. The device exists as long as it is open. */
  readonly serverFd: number
}

/**
 * The kernel starts talking to the TPM before this returns to anyone who opens the device: the TPM must be ready.
 * @param devices /dev as it was before a change of the root directory
 * @param root the new root directory; '' without a change
 * @throws SwtpmError SWTPM_ERR_DEVICE
 */
export function newProxyDevice(version: TpmVersion, devices: DeviceDirectory, root: string): NewDevice {
  const control = openDeviceMaker(VTPMX, devices, root)
  try {
    const flags = version === '2' ? VTPM_PROXY_FLAG_TPM2 : 0
    const argument = vtpmProxyNewDev.encode({ flags, tpmNum: 0, fd: 0, major: 0, minor: 0 }, HOST)
    ioctl(control, VTPM_PROXY_IOC_NEW_DEV, argument)
    const { tpmNum, fd, major, minor } = vtpmProxyNewDev.decode(argument, HOST)
    // The kernel hands it over inheritable; leaked into a child, it would keep the device alive after us.
    check(native.setCloseOnExec(fd, true), `make descriptor ${fd} close-on-exec`)
    return { version, tpmNum, major, minor, serverFd: fd }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const hint = code === 'EPERM' ? '; this needs the capability CAP_SYS_ADMIN' : ''
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot create a vTPM proxy device: ${reasonOf(error)}${hint}`, {
      cause: error,
    })
  } finally {
    closeSync(control)
  }
}

/** The kernel gives up on a TPM that does not answer long before. */
const REGISTRATION_TIMEOUT_MS = 20_000
/** The kernel makes the resource manager's node a moment after the other one. */
const NODE_TIMEOUT_MS = 2_000

/**
 * Waits until the kernel has asked the TPM what it must know, and clients can open the device.
 * @param signal ends the waiting
 * @returns false when the kernel does not register it within 20 s
 */
export async function registered(
  { tpmNum, major, minor, version }: NewDevice,
  devices: DeviceDirectory,
  signal?: AbortSignal,
): Promise<boolean> {
  const name = `tpm${tpmNum}`
  if (!devices.isDevtmpfs) {
    // Without sysfs (a bare container) there is nothing to wait for: users find out by opening the device.
    if (!existsSync('/sys/class')) return true
    return comesTrue(() => existsSync(`/sys/class/tpm/${name}/dev`), REGISTRATION_TIMEOUT_MS, signal)
  }
  if (!(await devices.waitFor(name, { major, minor }, REGISTRATION_TIMEOUT_MS, signal))) return false
  if (version === '2') await devices.waitFor(`tpmrm${tpmNum}`, undefined, NODE_TIMEOUT_MS, signal)
  return true
}
