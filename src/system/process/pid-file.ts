/** Writes the process id to the file that the user names, and removes the file at the end. */
import { closeSync, constants, openSync, readlinkSync, writeSync } from 'node:fs'
import { SwtpmError } from '../errors.ts'
import { reasonOf } from '../reason.ts'
import { removeAtEnd } from '../remove-at-end.ts'
import { absolutePath } from '../surroundings.ts'

export type PidFileTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'fd'; readonly fd: number }

const PID_FILE_MODE = 0o644

export class PidFile {
  /** What is removed at the end; undefined for a descriptor whose file is unknown, as under a root directory without /proc. */
  readonly path: string | undefined

  /** One that is written. */
  constructor(path: string | undefined) {
    this.path = path
  }

  /**
   * @param pid of the process that lasts as long as the TPM
   * @throws SwtpmError SWTPM_ERR_PID_FILE when the file cannot be written
   */
  static write(target: PidFileTarget, pid: number): PidFile {
    const name = target.kind === 'file' ? `"${target.path}"` : `on descriptor ${target.fd}`
    try {
      const fd = target.kind === 'file' ? openPidFile(target.path) : target.fd
      // An absolute path, because the working directory may be another one when the file is removed.
      const file = new PidFile(target.kind === 'file' ? absolutePath(target.path) : pathOf(fd))
      try {
        writeSync(fd, String(pid))
        return file
      } catch (error) {
        file.remove()
        throw error
      } finally {
        closeSync(fd)
      }
    } catch (error) {
      throw new SwtpmError('SWTPM_ERR_PID_FILE', `Cannot write pid file ${name}: ${reasonOf(error)}`, {
        cause: error,
      })
    }
  }

  remove(): void {
    if (this.path !== undefined) removeAtEnd(this.path)
  }
}

function pathOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}

function openPidFile(path: string): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants
  return openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, PID_FILE_MODE)
}
