/** /dev: which device nodes are there, and whether the kernel makes them. */
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { constants as os } from 'node:os'
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'
import { delay } from '../time-limit.ts'

const DEV = '/dev'
const POLL_INTERVAL_MS = 5
const { ENOENT, ENODEV } = os.errno

export interface DeviceNumbers {
  readonly major: number
  readonly minor: number
}

/** A node's numbers; `other` for a file that is no character device. */
export type Found = DeviceNumbers | 'none' | 'other'

export class DeviceDirectory {
  readonly #fd: number
  /**
   * The kernel itself makes and removes nodes here. In any other directory, such as that of most containers, a program
   * does, or none.
   */
  readonly isDevtmpfs: boolean

  private constructor(fd: number, isDevtmpfs: boolean) {
    this.#fd = fd
    this.isDevtmpfs = isDevtmpfs
  }

  /** It stays the same one after a change of the root directory, and leads out of the new root: close it soon then. */
  static open(): DeviceDirectory {
    return new DeviceDirectory(openSync(DEV, constants.O_RDONLY | constants.O_DIRECTORY), isDevtmpfs())
  }

  find(name: string): Found {
    const found = native.deviceNumbers(this.#fd, name)
    if (found === -ENOENT) return 'none'
    if (found === -ENODEV) return 'other'
    const [major, minor] = check(found, `look at "${DEV}/${name}"`)
    return { major, minor }
  }

  /**
   * Waits for a node with these numbers; without numbers, for any device. In a devtmpfs it is there as soon as the device is.
   * @returns whether it is there; false after `timeoutMs`, or when `signal` ends the waiting
   */
  waitFor(
    name: string,
    numbers: DeviceNumbers | undefined,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<boolean> {
    return comesTrue(() => isDevice(this.find(name), numbers), timeoutMs, signal)
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** Asks until the answer is yes. @returns false after `timeoutMs`, or when `signal` ends the waiting */
export async function comesTrue(
  isTrue: () => boolean,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (!signal?.aborted) {
    if (isTrue()) return true
    if (Date.now() > deadline) return false
    await delay(POLL_INTERVAL_MS)
  }
  return false
}

/** Whether it is a device, and the one with these numbers. */
export const isDevice = (found: Found, numbers?: DeviceNumbers): boolean =>
  typeof found === 'object' &&
  (numbers === undefined || (found.major === numbers.major && found.minor === numbers.minor))

/** What was mounted last covers what was there before. */
function isDevtmpfs(): boolean {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8').matchAll(/^\S+ \/dev (\S+) /gm)
    return [...mounts].at(-1)?.[1] === 'devtmpfs'
  } catch {
    return false
  }
}
