/** State that is in memory, and gone with the last process that has it. */
import { randomUUID } from 'node:crypto'
import { openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../../system/surroundings.ts'

/**
 * Opens a file without a name: in /dev/shm where there is one, else in the folder for temporary files.
 * @throws Error: nothing can be written in either
 */
export function openMemoryFile(): number {
  const fd = openUnnamed('/dev/shm') ?? openUnnamed(temporaryDirectory())
  if (fd !== undefined) return fd
  throw new Error(`nothing can be written in /dev/shm or ${temporaryDirectory()}`)
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
