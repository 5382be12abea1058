/** Devices of the kernel by which programs make devices of their own: /dev/cuse, /dev/vtpmx. */
import { openSync, readFileSync } from 'node:fs'
import { SwtpmError } from '../errors.ts'
import { type KernelModule, missingModule, REMEDIES, type Remedy } from '../missing-things.ts'
import { reasonOf } from '../reason.ts'
import type { DeviceDirectory, DeviceNumbers } from './device-directory.ts'

export interface DeviceMaker {
  /** Below /dev, and in /proc/misc. */
  readonly name: string
  readonly module: KernelModule
}

export const CUSE: DeviceMaker = { name: 'cuse', module: 'cuse' }
export const VTPMX: DeviceMaker = { name: 'vtpmx', module: 'tpm_vtpm_proxy' }

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

function hint(code: string | undefined, maker: DeviceMaker, devices: DeviceDirectory, root: string): string {
  const outside = code === 'ENOENT' ? devices.find(maker.name) : undefined
  if (typeof outside === 'object') {
    const { command } = nodeOf(`${root}/dev/${maker.name}`, outside)
    return `; the new root directory needs this node: \`${command}\``
  }
  const obstacle = obstacleOf(code, maker)
  if (obstacle === undefined) return ''
  const { reason, remedy } = obstacle
  return `; ${reason}${remedy === undefined ? '' : `: \`${remedy.command}\``}`
}

/** What is in the way of a device that cannot be opened, as a part of a sentence, and what clears it. */
export interface Obstacle {
  readonly reason: string
  readonly remedy?: Remedy
}

/** @param code the name of the errno with which it cannot be opened */
export function obstacleOf(code: string | undefined, { name, module }: DeviceMaker): Obstacle | undefined {
  switch (code) {
    case 'ENODEV':
    case 'ENXIO':
      return missingModule(module)
    case 'ENOENT': {
      const numbers = numbersOf(name)
      if (numbers === undefined) return missingModule(module)
      return {
        reason: `the kernel has it, and only the node is missing; a container gets it with \`--device /dev/${name}\``,
        remedy: nodeOf(`/dev/${name}`, numbers),
      }
    }
    case 'EACCES':
    case 'EPERM':
      return { reason: `this takes root, and in a container \`--device /dev/${name}\`` }
    default:
      return undefined
  }
}

const nodeOf = (path: string, { major, minor }: DeviceNumbers): Remedy =>
  REMEDIES.deviceNode(path, major, minor)

/** Undefined where the kernel has no such device, or does not tell. */
function numbersOf(name: string): DeviceNumbers | undefined {
  try {
    const minor = new RegExp(`^ *(\\d+) ${name}$`, 'm').exec(readFileSync('/proc/misc', 'utf8'))?.[1]
    return minor === undefined ? undefined : { major: MISC_MAJOR, minor: Number(minor) }
  } catch {
    return undefined
  }
}
