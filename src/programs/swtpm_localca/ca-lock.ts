/**
 * The lock that serialises everything a CA does to its files: a flock(2) on `.lock.swtpm-localca` in its state directory,
 * the one that every swtpm_localca takes. A flock belongs to the open file, so flock(1) can take it for us on a
 * descriptor that it inherits, and closing the descriptor, or our end in any way, releases it.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { giveTo, isRoot } from '../common/atomic-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'

const WAIT_SECONDS = 60
/** Exit code of flock(1) when the time is up. */
const TIMED_OUT = 1

/** @throws ToolFailure when the lock cannot be had */
export function withFileLock<T>(path: string, action: () => T): T {
  const fd = openLockFile(path)
  try {
    takeLock(path, fd)
    return action()
  } finally {
    closeSync(fd)
  }
}

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants

/** The folder may be another user's, whose link would make us create its target. */
function openLockFile(path: string): number {
  try {
    return makeLockFile(path) ?? openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o660)
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ELOOP'
        ? 'it is a symbolic link; remove it'
        : `${reasonOf(error)}; all users of a CA need to read and write this file`
    throw new ToolFailure(`Cannot open lock file "${path}": ${reason}`, { cause: error })
  }
}

/** @returns undefined when it is there */
function makeLockFile(path: string): number | undefined {
  let fd: number
  try {
    fd = openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o660)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw error
  }
  if (isRoot()) giveTo(fd, statSync(dirname(path)))
  return fd
}

function takeLock(path: string, fd: number): void {
  const { status, stderr, error } = spawnSync('flock', ['-x', '-w', String(WAIT_SECONDS), '3'], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe', fd],
  })
  if (error !== undefined) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'the program flock of util-linux is not in PATH'
        : reasonOf(error)
    throw new ToolFailure(`Cannot lock "${path}": ${reason}`, { cause: error })
  }
  if (status === 0) return
  const reason =
    status === TIMED_OUT && stderr === ''
      ? `another process holds it for more than ${WAIT_SECONDS} seconds`
      : stderr.trim().replace(/^flock: (3: )?/, '') || `flock ended with status ${status}`
  throw new ToolFailure(`Cannot lock "${path}": ${reason}`)
}
