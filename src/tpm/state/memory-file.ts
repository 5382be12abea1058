/** State that is in memory, and gone with the last process that has it. */
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
  // Loaded here: most TPMs have their state elsewhere, and the module is felt at start-up.
  const { randomUUID }: typeof import('node:crypto') = require('node:crypto')
  const path = join(folder, `swtpm-${randomUUID()}`)
  try {
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return fd
  } catch {
    return undefined
  }
}
