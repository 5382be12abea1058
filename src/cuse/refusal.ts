/** Why the kernel has made no CUSE device. It says so in its log only, so this looks at what could have been in the way. */
import { readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import type { DeviceNumbers } from '../system/io/device-directory.ts'

/** The rest of a message that begins with `Cannot create device "/dev/NAME"`. */
export function refusal(name: string, { major, minor }: DeviceNumbers): string {
  const sameName = read(`/sys/class/cuse/${name}/dev`)
  if (sameName !== undefined)
    return `: the kernel has a CUSE device of this name, ${sameName}; choose another name`
  const unknown = 'the kernel has refused it; `dmesg` says why'
  if (major === 0) return `: ${unknown}`
  const owner = deviceWithNumber(major, minor) ?? driverWithMajor(major)
  const reason =
    owner === undefined
      ? unknown
      : `${owner}; choose other numbers with --maj and --min, or leave both options out`
  return ` with number ${major}:${minor}: ${reason}`
}

function deviceWithNumber(major: number, minor: number): string | undefined {
  try {
    const device = basename(readlinkSync(`/sys/dev/char/${major}:${minor}`))
    return `the number belongs to device "${device}"`
  } catch {
    return undefined
  }
}

function driverWithMajor(major: number): string | undefined {
  const characterDevices = read('/proc/devices')?.split('Block devices')[0]
  const line = characterDevices?.match(new RegExp(`^ *${major} (.+)$`, 'm'))
  return line ? `the major number belongs to "${line[1]}"` : undefined
}

/** Nothing where there is no such file, which under a new root directory is so for all of them. */
function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
