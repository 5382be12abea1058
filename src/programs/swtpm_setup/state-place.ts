/** Where the state of the TPM to set up is. */
import type { TpmVersion } from '../../../contract/engine-options.ts'
import type { StateFile } from '../../tpm/state/state-files.ts'

export interface StatePlace {
  readonly path: string
  /** @throws ToolFailure when we may not read and write here */
  requireAccess(): void
  /**
   * Keeps every other process from the state, and puts in order what a run that was killed has left.
   * @throws ToolFailure, or SwtpmError naming the process that has it; nothing has been changed then
   */
  lock(): Promise<LockedPlace>
  /** For reading alone, while another process has the state locked. */
  unlocked(): ReadablePlace
}

export interface ReadablePlace {
  /** What is here, of the version that is wanted first. */
  found(wanted: TpmVersion): FoundState | undefined
  /**
   * A place of its own with a copy of the TPM, as it was at one moment.
   * @param what `permanent`: without the volatile state, so that the copy starts as after a reset
   * @throws ToolFailure
   */
  copy(version: TpmVersion, what: 'permanent' | 'all'): Workplace
  /** Lets the state go. */
  close(): void
}

export interface LockedPlace extends ReadablePlace {
  /** A place of its own for a new TPM; what is here stays untouched. @throws ToolFailure */
  newTpm(): NewTpm
  /** As {@link copy}, to be put in place when it has been changed. @throws ToolFailure */
  changedTpm(version: TpmVersion): NewTpm
}

export interface FoundState {
  /** Undefined where it cannot be told: the state is encrypted, or damaged. */
  readonly version: TpmVersion | undefined
  readonly blob: StateFile['blob']
}

export interface Workplace {
  /** The state, for swtpm. */
  readonly uri: string
  /** For other files; it lives as long as this. */
  readonly folder: string
  remove(): void
}

export interface NewTpm extends Workplace {
  /**
   * Puts the TPM in its place, instead of what was there, as the last step.
   * @throws ToolFailure; what was there is untouched then
   */
  putInPlace(version: TpmVersion): void
}
