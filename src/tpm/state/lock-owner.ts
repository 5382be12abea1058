/** The process that a lock on the state belongs to: this one, or the keeper, which lasts longer. */
import { closeSync } from 'node:fs'
import { type Keeper, wordAt } from '../../keeper/keeper.ts'
import { native } from '../../system/native/load.ts'

export interface LockOwner {
  /**
   * Takes the POSIX write lock on the file of `fd`, which stays open until {@link unlock}; never waits.
   * @returns a result of the native addon; `holder`: the number of the process that is in the way, 0 or less where unknown
   */
  lock(fd: number): { readonly result: number; readonly holder: number }
  unlock(fd: number): void
}

/** For a lock file, which is opened for the lock alone. */
export const ownsLockFile: LockOwner = { lock: lockHere, unlock: closeSync }

/** For a state file, which stays open for the engine. */
export const ownsStateFile: LockOwner = { lock: lockHere, unlock: unlockHere }

function lockHere(fd: number): { result: number; holder: number } {
  const result = native.lockFile(fd)
  return { result, holder: result < 0 ? native.lockHolder(fd) : 0 }
}

function unlockHere(fd: number): void {
  native.unlockFile(fd)
}

/** @param what a lock file, or the state file, which the keeper has been given */
export function keeperOwns(keeper: Keeper, what: 'lockFile' | 'stateFile'): LockOwner {
  return {
    lock(fd) {
      const { value, bytes } = keeper.ask('LOCK', 0, undefined, what === 'lockFile' ? [fd] : [])
      return { result: value, holder: bytes.length > 0 ? wordAt(bytes, 0) : 0 }
    },
    unlock(fd) {
      keeper.ask('UNLOCK')
      // Undefined to the Node that follows the one which took the lock.
      if (what === 'lockFile' && fd >= 0) closeSync(fd)
    },
  }
}
