/** State that is in memory, and gone with the last process that has it. */
import { closeSync } from 'node:fs'
import { openMemoryFile } from '../tpm/state/memory-file.ts'

export interface EphemeralState {
  /** The path of a file that has no name any more. */
  readonly path: string
  close(): void
}

/** @throws Error: no file can be made */
export function ephemeralState(): EphemeralState {
  const fd = openMemoryFile()
  return { path: `/proc/self/fd/${fd}`, close: () => closeSync(fd) }
}
