/**
 * The states that the TPMs of one process have open, by what was opened and not by its name: a name that leads nowhere yet, or
 * leads elsewhere a moment later, says nothing.
 *
 * Locks keep other processes away, not other TPMs of this one.
 */
import { type BigIntStats, closeSync, fstatSync, statSync } from 'node:fs'

interface OpenState {
  readonly owner: string
  /** Descriptors of the same file. Closing one would drop the owner's lock, which is the process's. */
  readonly alsoOpen: number[]
}

export class OpenStates {
  readonly #states = new Map<string, OpenState>()

  /** @returns the TPM that has open what is at `path` now, if one has */
  ownerOf(path: string): string | undefined {
    const status = statSync(path, { bigint: true, throwIfNoEntry: false })
    return status && this.#states.get(identityOf(status))?.owner
  }

  /**
   * Notes a state that has just been opened.
   * @param fd of another TPM's state is taken over
   * @returns to be called when the state is let go, or the TPM that has it already
   */
  claim(fd: number, owner: string): (() => void) | { readonly owner: string } {
    const identity = identityOf(fstatSync(fd, { bigint: true }))
    const other = this.#states.get(identity)
    if (other !== undefined) {
      other.alsoOpen.push(fd)
      return { owner: other.owner }
    }
    const state: OpenState = { owner, alsoOpen: [] }
    this.#states.set(identity, state)
    return () => {
      this.#states.delete(identity)
      for (const each of state.alsoOpen) closeSync(each)
    }
  }
}

/** A block device may have several nodes. */
const identityOf = (status: BigIntStats): string =>
  status.isBlockDevice() ? `device ${status.rdev}` : `${status.dev}:${status.ino}`
