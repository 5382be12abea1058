/** What `npm run install:system` installs, in a directory. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { type Cleanup, projectRoot, temporaryDirectory } from './swtpm.ts'
import { tool } from './tools.ts'

/** @returns a directory that stands for the system's root */
export async function installedTree(t: Cleanup, prefix = '/usr'): Promise<string> {
  const root = temporaryDirectory(t)
  const script = join(projectRoot, 'scripts/install.mjs')
  // As the root of a system is.
  chmodSync(root, 0o755)
  await tool(process.execPath, [script, `--destdir=${root}`, `--prefix=${prefix}`])
  return root
}
