/** Finds the files of the installation from the path of the running script, never from the working directory. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SwtpmError } from './errors.ts'

/**
 * The path of a file of the installation, given relative to the package's root: the nearest folder above the running
 * script that has it.
 * @throws SwtpmError SWTPM_ERR_INSTALLATION naming the places tried and `remedy`, the command that makes the file
 */
export function installedFile(relative: string, remedy: string): string {
  const tried: string[] = []
  for (let folder = __dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, relative)
    if (existsSync(candidate)) return candidate
    tried.push(candidate)
    if (folder === dirname(folder)) break
  }
  throw new SwtpmError(
    'SWTPM_ERR_INSTALLATION',
    `Cannot find "${relative}": ${wayOut(remedy)}; tried ${tried.join(', ')}`,
  )
}

/**
 * What to do about a file of the installation that is not there or does not fit.
 * @param command makes it in a tree with the sources; what was installed has no sources
 */
export function wayOut(command: string): string {
  let root = __dirname
  while (root !== dirname(root) && !existsSync(join(root, 'package.json'))) root = dirname(root)
  if (existsSync(join(root, 'src'))) return `run \`${command}\``
  const compile = join(root, 'scripts/package/npm-install.mjs')
  return existsSync(compile) ? `run \`node ${compile}\`` : 'install swtpm again'
}
