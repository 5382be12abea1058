/** State that is in memory, and gone with the last process that has it. */

import { randomUUID } from 'node:crypto'
import { closeSync, openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../system/surroundings.ts'

export interface EphemeralState {
  /** The path of a file that has no name any more. */
  readonly path: string
  close(): void
}

/** In /dev/shm where there is one; else in the folder for temporary files. */
export function ephemeralState(): EphemeralState {
  const fd = openUnnamed('/dev/shm') ?? openUnnamed(temporaryDirectory())
  if (fd === undefined)
    throw new Error(
      `Cannot keep a TPM in memory: nothing can be written in /dev/shm or ${temporaryDirectory()}`,
    )
  return { path: `/proc/self/fd/${fd}`, close: () => closeSync(fd) }
}

function openUnnamed(folder: string): number | undefined {
  const path = join(folder, `swtpm-${randomUUID()}`)
  try {
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return fd
  } catch {
    return undefined
  }
}
