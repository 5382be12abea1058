/** The user's place for what can be made again: kernels, initial file systems, what was found out about this machine. */
import { join } from 'node:path'
import { homeDirectory, temporaryDirectory } from '../system/surroundings.ts'

/** Safe to delete at any time. @see XDG Base Directory Specification */
export function cacheDirectory(): string {
  const home = homeDirectory()
  const base = process.env.XDG_CACHE_HOME || (home && join(home, '.cache')) || temporaryDirectory()
  return join(base, 'swtpm-vm')
}
