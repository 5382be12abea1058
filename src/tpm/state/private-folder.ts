/**
 * A folder in which a new TPM is made, for this process only. It is locked while it is in use, so that a later run can tell
 * one that a killed run has left behind, and removes it.
 */
import { closeSync, constants, lstatSync, mkdtempSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SwtpmError } from '../../system/errors.ts'
import { native } from '../../system/native/load.ts'
import { removeNewTpm } from './replacement.ts'

const LOCK = 'in-use'
/** Another run may take a folder that is not locked yet for one that was left behind. */
const ATTEMPTS = 3
const EAGAIN = -11

export class PrivateFolder {
  readonly path: string
  readonly #lock: number
  /** Also at a sudden end of this process. */
  readonly #removeAtExit = (): void => this.remove()

  private constructor(path: string, lock: number) {
    this.path = path
    this.#lock = lock
    process.once('exit', this.#removeAtExit)
  }

  /** @param prefix begins its name @throws the system's error */
  static create(parent: string, prefix: string): PrivateFolder {
    for (let attempt = 1; ; attempt++) {
      const path = mkdtempSync(join(parent, prefix))
      let lock: number | undefined
      try {
        const { O_RDWR, O_CREAT, O_EXCL } = constants
        lock = openSync(join(path, LOCK), O_RDWR | O_CREAT | O_EXCL, 0o600)
        // Without locks (some network file systems) it is taken for one that is in use.
        if (native.lockFile(lock) === EAGAIN)
          throw new SwtpmError(
            'SWTPM_ERR_STATE_DIR',
            `Cannot use folder "${path}": another process has just removed it`,
          )
        statSync(join(path, LOCK))
        return new PrivateFolder(path, lock)
      } catch (error) {
        removeQuietly(path)
        if (lock !== undefined) closeSync(lock)
        if (attempt === ATTEMPTS) throw error
      }
    }
  }

  /** Removes what killed runs have left behind. */
  static removeLeftovers(parent: string, prefix: string): void {
    for (const name of readdirSync(parent)) {
      const path = join(parent, name)
      if (!name.startsWith(prefix) || !isOurs(path) || isInUse(path)) continue
      removeQuietly(path)
    }
  }

  remove(): void {
    process.removeListener('exit', this.#removeAtExit)
    removeQuietly(this.path)
    try {
      closeSync(this.#lock)
    } catch {}
  }
}

/** What cannot be removed, because a process that was started with it still writes there for one, is left to the next run. */
function removeQuietly(path: string): void {
  try {
    removeNewTpm(path)
  } catch {}
}

/** In a folder that all users share, others may have made something of this name. */
function isOurs(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found?.isDirectory() === true && found.uid === process.geteuid?.()
}

function isInUse(folder: string): boolean {
  let fd: number
  try {
    fd = openSync(join(folder, LOCK), constants.O_RDWR | constants.O_NOFOLLOW)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
  try {
    return native.lockFile(fd) < 0
  } finally {
    closeSync(fd)
  }
}
