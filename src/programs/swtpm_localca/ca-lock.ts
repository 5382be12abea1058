/**
 * The lock that serialises everything a CA does to its files: a flock(2) on `.lock.swtpm-localca` in its state directory,
 * the one that every swtpm_localca takes. A flock belongs to the open file, so flock(1) can take it for us on a
 * descriptor that it inherits, and closing the descriptor, or our end in any way, releases it.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'

const WAIT_SECONDS = 60

/** @throws ToolFailure when the lock cannot be had */
export function withFileLock<T>(path: string, action: () => T): T {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o660)
  } catch (error) {
    throw new ToolFailure(`Cannot open lockfile "${path}": ${reasonOf(error)}`, { cause: error })
  }
  try {
    const { status, error } = spawnSync('flock', ['-x', '-w', String(WAIT_SECONDS), '3'], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
    })
    if (error !== undefined) {
      const reason =
        (error as NodeJS.ErrnoException).code === 'ENOENT'
          ? 'the program flock of util-linux is not in PATH'
          : reasonOf(error)
      throw new ToolFailure(`Cannot lock "${path}": ${reason}`, { cause: error })
    }
    if (status !== 0) {
      throw new ToolFailure(
        `Cannot lock "${path}": another process holds it for more than ${WAIT_SECONDS} seconds`,
      )
    }
    return action()
  } finally {
    closeSync(fd)
  }
}
