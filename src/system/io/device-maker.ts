/** Devices of the kernel by which programs make devices of their own: /dev/cuse, /dev/vtpmx. */
import { openSync, readFileSync } from 'node:fs'
import { SwtpmError } from '../errors.ts'
import { reasonOf } from '../reason.ts'
import type { DeviceDirectory, DeviceNumbers } from './device-directory.ts'

export interface DeviceMaker {
  /** Below /dev, and in /proc/misc. */
  readonly name: string
  /** Of the kernel. */
  readonly module: string
}

/** The number that "misc" devices have in common. @see devices.txt of the kernel */
const MISC_MAJOR = 10

/**
 * @param devices /dev as it was before a change of the root directory
 * @param root the new root directory; '' without a change
 * @throws SwtpmError SWTPM_ERR_DEVICE
 */
export function openDeviceMaker(maker: DeviceMaker, devices: DeviceDirectory, root: string): number {
  const path = `/dev/${maker.name}`
  try {
    return openSync(path, 'r+')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new SwtpmError(
      'SWTPM_ERR_DEVICE',
      `Cannot open "${path}": ${reasonOf(error)}${hint(code, maker, devices, root)}`,
      { cause: error },
    )
  }
}

function hint(
  code: string | undefined,
  { name, module }: DeviceMaker,
  devices: DeviceDirectory,
  root: string,
): string {
  const load = `; load the kernel module with \`modprobe ${module}\``
  switch (code) {
    case 'ENODEV':
    case 'ENXIO':
      return load
    case 'ENOENT': {
      const outside = devices.find(name)
      if (typeof outside === 'object')
        return `; the new root directory needs this node: \`${mknod(`${root}/dev/${name}`, outside)}\``
      const numbers = numbersOf(name)
      if (numbers === undefined) return load
      return `; the kernel has it: \`${mknod(`/dev/${name}`, numbers)}\` makes the node, and in a container \`--device /dev/${name}\``
    }
    case 'EACCES':
    case 'EPERM':
      return `; this takes root, and in a container \`--device /dev/${name}\``
    default:
      return ''
  }
}

const mknod = (path: string, { major, minor }: DeviceNumbers): string => `mknod ${path} c ${major} ${minor}`

/** Undefined where the kernel has no such device, or does not tell. */
function numbersOf(name: string): DeviceNumbers | undefined {
  try {
    const minor = new RegExp(`^ *(\\d+) ${name}$`, 'm').exec(readFileSync('/proc/misc', 'utf8'))?.[1]
    return minor === undefined ? undefined : { major: MISC_MAJOR, minor: Number(minor) }
  } catch {
    return undefined
  }
}
