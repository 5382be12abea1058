/** The state of the TPM to set up: where it is, whether it exists, how to erase it. */
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { can, currentUserName, requireDirectory } from '../common/access.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'

export class StateToSetUp {
  readonly #kind: 'dir' | 'file'
  readonly path: string

  /** @param text a directory, `dir://…` or `file://…` */
  constructor(text: string) {
    const [, scheme = 'dir', path = text] = /^(dir|file):\/\/([\s\S]*)$/.exec(text) ?? []
    this.#kind = scheme as 'dir' | 'file'
    this.path = path
  }

  get uri(): string {
    return `${this.#kind}://${this.path}`
  }

  /** @throws ToolFailure when we may not read and write here */
  requireAccess(): void {
    const mode = constants.R_OK | constants.W_OK
    if (this.#kind === 'file') {
      if (statSync(this.path, { throwIfNoEntry: false }) && !can(this.path, mode)) {
        throw new ToolFailure(`User ${currentUserName()} cannot read/write state file ${this.path}.`)
      }
      return
    }
    const lock = join(this.path, '.lock')
    if (statSync(lock, { throwIfNoEntry: false }) && !can(lock, mode)) {
      throw new ToolFailure(`User ${currentUserName()} cannot read/write lockfile ${lock}.`)
    }
    requireDirectory(this.path, mode)
  }

  /** Whether swtpm finds the state of a TPM here. */
  hasState(command: TpmCommandLine, tpm2: boolean): boolean {
    // swtpm would make the file in order to look into it.
    if (this.#kind === 'file' && !existsSync(this.path)) return false
    const args = ['--print-states', '--tpmstate', `backend-uri=${this.uri}`, ...(tpm2 ? ['--tpm2'] : [])]
    return command.output(args).includes('permall')
  }

  /**
   * Removes all state, so that the TPM starts as a new one: of either version, and a backup from which the old TPM could
   * come back. A block device is emptied by clearing the start of its header.
   */
  erase(): void {
    try {
      if (this.#kind === 'dir') {
        const states = readdirSync(this.path).filter((name) =>
          /(permall(\.bak|\.journal)?|volatilestate|savestate)$/.test(name),
        )
        for (const name of states) unlinkSync(join(this.path, name))
        return
      }
      const stat = statSync(this.path, { throwIfNoEntry: false })
      if (stat === undefined) return
      if (stat.isBlockDevice()) clearHeader(this.path)
      else unlinkSync(this.path)
    } catch (error) {
      throw new ToolFailure(`Could not erase the TPM state at ${this.path}: ${reasonOf(error)}`, {
        cause: error,
      })
    }
  }
}

function clearHeader(path: string): void {
  const fd = openSync(path, 'r+')
  try {
    writeSync(fd, Buffer.alloc(8))
  } finally {
    closeSync(fd)
  }
}
