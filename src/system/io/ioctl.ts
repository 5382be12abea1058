/**
 * ioctl(2) by the `ioctl` package, loaded when it is first needed; this is the one place that calls it, because it asserts on a
 * wrong number of arguments.
 *
 * Its compiled part fits one version of Node. Under another one, and where it could not be compiled, the project's own addon does
 * the same: that fits every Node.
 */
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'

type IoctlFunction = (fd: number, request: number, argument: Buffer) => number

let loaded: IoctlFunction | undefined

/**
 * Loads it now, for a program that cannot reach its files later, for example after chroot(2).
 * @throws SwtpmError SWTPM_ERR_INSTALLATION
 */
export function loadIoctl(): void {
  loaded ??= ofPackage() ?? ofAddon()
}

function ofPackage(): IoctlFunction | undefined {
  try {
    return require('ioctl') as IoctlFunction
  } catch {
    return undefined
  }
}

function ofAddon(): IoctlFunction {
  const { ioctl: call } = native
  return (fd, request, argument) => check(call(fd, request, argument), 'ioctl')
}

/**
 * Blocks until the driver has answered.
 * @param argument as the request number defines it; read and written in place
 * @throws an error with `code` (errno name) as Node's own
 */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  loadIoctl()
  return (loaded as IoctlFunction)(fd, request, argument)
}
