/**
 * ioctl(2) by the `ioctl` package, loaded when it is first needed. The package asserts on a wrong number of arguments,
 * so this is the one place that calls it.
 */
import { SwtpmError } from '../errors.ts'
import { loadReason } from '../native/load-reason.ts'

type IoctlFunction = (fd: number, request: number, argument: Buffer) => number

let loaded: IoctlFunction | undefined

/**
 * Loads the package now, for a program that cannot reach its files later, for example after chroot(2).
 * @throws SwtpmError SWTPM_ERR_INSTALLATION
 */
export function loadIoctl(): void {
  try {
    loaded ??= require('ioctl') as IoctlFunction
  } catch (error) {
    throw new SwtpmError(
      'SWTPM_ERR_INSTALLATION',
      `Cannot load the package "ioctl": ${loadReason(error)}; run \`npm run setup\``,
      {
        cause: error,
      },
    )
  }
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
