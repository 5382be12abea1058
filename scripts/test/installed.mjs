// The programs as they are installed, below build/: made here because installing takes minutes on an emulated processor.

import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { run } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'

/** What the tests want, each in a folder of its own. @type {Record<string, string>} */
const PREFIXES = { usr: '/usr', local: '/usr/local' }

/** The Debian package, too, in the folder `deb`. */
export async function installForTests() {
  for (const [name, prefix] of Object.entries(PREFIXES)) {
    const root = path.join(projectRoot, 'build/installed', name)
    mkdirSync(root, { recursive: true })
    chmodSync(root, 0o755)
    await run(process.execPath, [
      path.join(projectRoot, 'scripts/install.mjs'),
      ...[`--destdir=${root}`, `--prefix=${prefix}`],
    ])
  }
  const out = path.join(projectRoot, 'build/installed/deb')
  rmSync(out, { recursive: true, force: true })
  await run(process.execPath, [path.join(projectRoot, 'scripts/package/deb.mjs'), `--out=${out}`])
}
