/** Whether a process has a TPM's state: its lock is looked at, and not taken. */
import { closeSync, constants, openSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { writerOf } from '../../../system/file-in-use.ts'
import { native } from '../../../system/native/load.ts'
import { LOCK_FILE } from '../../../tpm/state/storage-lock.ts'
import type { Place } from '../../../tpm/state/stored/stored-tpm.ts'

/** @returns the process; undefined where none has locked it, or it cannot be told */
export function userOf({ kind, path }: Place): number | undefined {
  if (kind === 'blob') return undefined
  let fd: number
  try {
    const file = kind === 'dir' ? join(path, LOCK_FILE) : path
    fd = openSync(
      file,
      constants.O_RDONLY | constants.O_NONBLOCK | (kind === 'dir' ? constants.O_NOFOLLOW : 0),
    )
  } catch {
    return undefined
  }
  try {
    const holder = native.lockHolder(fd)
    // A TPM on a linear file does not lock it by default.
    return holder > 0 ? holder : kind === 'linear' ? writerOf(realpathSync(path), fd) : undefined
  } finally {
    closeSync(fd)
  }
}
