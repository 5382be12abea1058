/** Folders for the sockets of TPMs whose program names none. They go with the TPM, and at the latest with the program. */
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory } from '../system/surroundings.ts'

export interface SocketFolder {
  readonly path: string
  remove(): Promise<void>
}

const folders = new Set<string>()

/** A program may call process.exit(), or throw, while it has TPMs. */
function removeAll(): void {
  for (const path of folders) rmSync(path, { recursive: true, force: true })
}

/** Only its user has access. @throws Error: it cannot be made */
export async function makeSocketFolder(): Promise<SocketFolder> {
  const path = await mkdtemp(join(temporaryDirectory(), 'swtpm-'))
  if (folders.size === 0) process.on('exit', removeAll)
  folders.add(path)
  return {
    path,
    async remove() {
      folders.delete(path)
      if (folders.size === 0) process.off('exit', removeAll)
      await rm(path, { recursive: true, force: true })
    },
  }
}
