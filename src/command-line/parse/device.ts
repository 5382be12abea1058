/** The devices of the chardev and cuse interfaces: `--chardev`, `--fd`, `--vtpm-proxy`; `--name`, `--maj`, `--min`. */

import type { Given } from '../../programs/common/options/given-options.ts'
import type { ChardevConfig, CuseConfig } from '../../serve/config.ts'
import { CommandLineError } from '../exit/command-line-error.ts'
import { fdOf } from './endpoint.ts'
import { readUnsigned } from './sub-options.ts'

/** Exactly one of the three ways to get at a device. */
export function chardevOf(given: Given<'chardev' | 'fd' | 'vtpm-proxy'>): ChardevConfig['device'] {
  const path = given.text('chardev')
  const fd = fdOf(given)
  const proxy = given.has('vtpm-proxy')
  const ways = [
    path !== undefined && '--chardev',
    fd !== undefined && '--fd',
    proxy && '--vtpm-proxy',
  ].filter((way) => way !== false)
  if (ways.length === 0) {
    throw new CommandLineError(
      'general',
      'Missing character device: give --vtpm-proxy, --chardev DEVICE or --fd FD',
    )
  }
  if (ways.length > 1) {
    throw new CommandLineError(
      'general',
      `${ways.join(' and ')} exclude each other: the TPM serves one device`,
    )
  }
  if (proxy) return { kind: 'vtpm-proxy' }
  if (fd !== undefined) return { kind: 'fd', fd }
  if (path === undefined || path === '')
    throw new CommandLineError('general', '--chardev: the device name is empty', 'chardev')
  return { kind: 'path', path }
}

const NAME_MAX = 255
/** What the kernel takes. @see CHRDEV_MAJOR_MAX, MINORBITS */
const NUMBER_MAX = { maj: 511, min: 0xf_ffff } as const

/** A file name for /dev; the user may give it with or without that directory. */
function deviceName(given: Given<'name'>): string {
  const argument = given.text('name')
  if (argument === undefined)
    throw new CommandLineError('noName', 'device name missing: give --name NAME', 'name')
  const name = argument.replace(/^\/dev\//, '')
  const fault = faultOf(name)
  if (fault !== undefined) throw new CommandLineError('general', `--name: "${name}" ${fault}`, 'name')
  return name
}

/** Why the kernel would not make /dev/NAME of it. @see drivers/base/devtmpfs.c, cuse_parse_one() */
function faultOf(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (name.includes('/')) return 'contains a "/"; the device is made in /dev itself'
  if (name.includes('!')) return 'contains a "!", of which the kernel makes a "/"'
  if (name === '.' || name === '..') return 'is a directory'
  const bytes = Buffer.from(name)
  if (bytes.length > NAME_MAX) return `is longer than ${NAME_MAX} bytes`
  if (/\p{Cc}/u.test(name)) return 'contains a control character'
  // To the kernel the byte of a no-break space is a blank, also as the last one of "à".
  if ([bytes[0], bytes.at(-1)].some((byte) => byte === 0x20 || byte === 0xa0))
    return 'begins or ends with what the kernel takes for a blank and leaves out'
  return undefined
}

function deviceNumber(given: Given<'maj' | 'min'>, option: 'maj' | 'min'): number {
  const text = given.text(option)
  if (text === undefined) return 0
  const number = readUnsigned(text, 10, NUMBER_MAX[option])
  if (number === undefined) {
    throw new CommandLineError(
      'general',
      `--${option}: "${text}" is not a number from 0 to ${NUMBER_MAX[option]}`,
    )
  }
  return number
}

export function cuseDeviceOf(
  given: Given<'maj' | 'min' | 'name' | 'foreground' | 'ioctl-users'>,
): Pick<CuseConfig, 'name' | 'major' | 'minor' | 'foreground' | 'ioctlUsers'> {
  return {
    major: deviceNumber(given, 'maj'),
    minor: deviceNumber(given, 'min'),
    foreground: given.has('foreground'),
    ioctlUsers: (given.text('ioctl-users') ?? 'all') as CuseConfig['ioctlUsers'],
    name: deviceName(given),
  }
}
