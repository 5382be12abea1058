/** `--sysfs`: where it can be mounted, and what is there. */
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../../src/system/reason.ts'
import type { Cleanup } from './swtpm.ts'

/** Why nothing can be mounted here. */
export function whyNoFuse(): string | false {
  if (process.getuid?.() !== 0) return 'it takes root to mount'
  if (!readFileSync('/proc/filesystems', 'utf8').includes('\tfuse\n')) return 'the kernel has no FUSE'
  try {
    require('fuse-native')
    return false
  } catch (error) {
    return `fuse-native cannot be loaded: ${reasonOf(error).split('\n', 1)[0]}`
  }
}

/** An empty directory; what a test leaves mounted there is taken away. */
export function mountPoint(t: Cleanup): string {
  const path = mkdtempSync(join(tmpdir(), 'swtpm-sysfs-'))
  t.after(() => {
    try {
      execFileSync('umount', ['-l', path], { stdio: 'ignore' })
    } catch {
      // Nothing is.
    }
    rmdirSync(path)
  })
  return path
}

export const isMounted = (path: string): boolean =>
  readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `)

/** The contents of the files below a directory, by their paths in it, without following links. */
export function filesBelow(directory: string, skipped: readonly string[] = []): Map<string, string> {
  const contents = new Map<string, string>()
  const look = (folder: string): void => {
    for (const name of readdirSync(join(directory, folder)).sort()) {
      const path = join(folder, name)
      if (skipped.includes(path)) continue
      const status = lstatSync(join(directory, path))
      if (status.isDirectory()) look(path)
      else if (status.isFile()) contents.set(path, readFileSync(join(directory, path), 'latin1'))
    }
  }
  look('')
  return contents
}
