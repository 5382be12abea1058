/** The directory that becomes the root of the file system: what must be true of it. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'

/** What the kernel calls the file system, behind `fuse.`. */
export const SUBTYPE = 'swtpm'

/** A mount whose program ended without the one that takes it away is taken away first. @throws SwtpmError SWTPM_ERR_SYSFS */
export function prepareMountPoint(path: string): void {
  if (isDead(path)) takeAway(path)
  let names: readonly string[]
  try {
    if (!statSync(path).isDirectory()) throw cannotMount(path, 'it is no directory')
    if (typeOfMount(path) !== undefined)
      throw cannotMount(
        path,
        `something is mounted there already; \`umount ${path}\` takes it away, or name another directory`,
      )
    names = readdirSync(path)
  } catch (error) {
    if (error instanceof SwtpmError) throw error
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw cannotMount(
      path,
      isMissing ? `there is no such directory; \`mkdir -p ${path}\` makes it` : reasonOf(error),
      error,
    )
  }
  if (names.length > 0)
    throw cannotMount(
      path,
      'it is not empty, and what is in it could not be seen any more; name an empty directory',
    )
}

/** @param why behind a colon */
export const cannotMount = (path: string, why: string, cause?: unknown): SwtpmError =>
  new SwtpmError('SWTPM_ERR_SYSFS', `Cannot mount --sysfs at "${path}": ${why}`, { cause })

/** What is mounted there is served by nobody. */
function isDead(path: string): boolean {
  try {
    statSync(path)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTCONN'
  }
}

function takeAway(path: string): void {
  const byHand = `a program that has ended has left its mount there; \`umount -l ${path}\` takes it away`
  if (typeOfMount(path) !== `fuse.${SUBTYPE}`) throw cannotMount(path, byHand)
  try {
    execFileSync('umount', ['-l', '--', path], { stdio: 'ignore' })
  } catch (error) {
    throw cannotMount(path, byHand, error)
  }
  log.info(`Took away what an earlier swtpm had left mounted at "${path}"`)
}

/** The type of the file system that is mounted at `path`, by name; undefined where none is. @see proc_pid_mountinfo(5) */
function typeOfMount(path: string): string | undefined {
  const place = realPath(path)
  let found: string | undefined
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount = '', source = ''] = line.split(' - ')
    if (unescaped(mount.split(' ')[4] ?? '') === place) found = source.split(' ')[0]
  }
  return found
}

/** Of a dead mount only what leads to it can be looked at. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)))
