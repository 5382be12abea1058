/** The devices of the chardev and cuse interfaces: `--chardev`, `--fd`, `--vtpm-proxy`; `--name`, `--maj`, `--min`. */

import type { ChardevConfig, CuseConfig } from '../../../serve/config.ts'
import type { Given } from '../../common/options/given-options.ts'
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
const DEVICE_NUMBER_MAX = 0xffff

/** A file name for /dev; the user may give it with or without that directory. */
function deviceName(given: Given<'name'>): string {
  const argument = given.text('name')
  if (argument === undefined)
    throw new CommandLineError('noName', 'device name missing: give --name NAME', 'name')
  const name = argument.replace(/^\/dev\//, '')
  const fault =
    name === ''
      ? 'is empty'
      : name.includes('/')
        ? 'contains a "/"; the device is made in /dev itself'
        : name === '.' || name === '..'
          ? 'is a directory'
          : Buffer.byteLength(name) > NAME_MAX
            ? `is longer than ${NAME_MAX} bytes`
            : /\p{Cc}/u.test(name)
              ? 'contains a control character'
              : undefined
  if (fault !== undefined) throw new CommandLineError('general', `--name: "${name}" ${fault}`, 'name')
  return name
}

function deviceNumber(given: Given<'maj' | 'min'>, option: 'maj' | 'min'): number {
  const text = given.text(option)
  if (text === undefined) return 0
  const number = readUnsigned(text, 10, DEVICE_NUMBER_MAX)
  if (number === undefined) {
    throw new CommandLineError(
      'general',
      `--${option}: "${text}" is not a number from 0 to ${DEVICE_NUMBER_MAX}`,
    )
  }
  return number
}

export function cuseDeviceOf(
  given: Given<'maj' | 'min' | 'name' | 'foreground'>,
): Pick<CuseConfig, 'name' | 'major' | 'minor' | 'foreground'> {
  return {
    major: deviceNumber(given, 'maj'),
    minor: deviceNumber(given, 'min'),
    foreground: given.has('foreground'),
    name: deviceName(given),
  }
}
