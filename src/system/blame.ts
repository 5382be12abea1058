/** What is to blame for a system error: the part of the path that it is about, the right that is missing. The kernel names none. */
import { accessSync, constants, lstatSync, readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, isAbsolute, join, parse, sep } from 'node:path'
import { describeUser, workingDirectory } from './surroundings.ts'

/**
 * @param code name of the errno
 * @param path of the call that failed, if it had one
 * @returns what a message says of it in brackets after the reason; undefined where there is nothing to add
 */
export function blame(code: string, path: string | undefined): string | undefined {
  if (code === 'EMFILE') return '`ulimit -n` raises the limit of a process'
  if (path === undefined) return undefined
  const whole = isAbsolute(path) ? path : join(workingDirectory() ?? '.', path)
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return missingRight(whole)
    case 'ENOTDIR': {
      const culprit = foldersAbove(whole).find((folder) => !(look(folder)?.isDirectory() ?? true))
      return culprit && `"${culprit}" is no directory`
    }
    case 'ELOOP':
      return lookAtLink(whole)?.isSymbolicLink() ? 'it is a symbolic link' : undefined
    default:
      return undefined
  }
}

function missingRight(path: string): string {
  const user = `user ${describeUser()}`
  const closed = foldersAbove(path).find(
    (folder) => look(folder)?.isDirectory() && !may(folder, constants.X_OK),
  )
  if (closed !== undefined) return `${user} may not enter "${closed}"`
  const folder = dirname(path)
  if (lookAtLink(path) === undefined && !may(folder, constants.W_OK))
    return `${user} may not write in "${folder}"`
  const profile = appArmorProfile()
  return profile === undefined
    ? user
    : `${user}; AppArmor's profile "${profile}" may forbid it, which \`dmesg\` tells`
}

/** The one that is enforced on this process. @see https://docs.kernel.org/admin-guide/LSM/apparmor.html */
function appArmorProfile(): string | undefined {
  const current = orUndefined(() => readFileSync('/proc/self/attr/current', 'utf8'))
  return /^(.+) \(enforce\)$/m.exec(current ?? '')?.[1]
}

/** From the root down, without `path` itself. */
function foldersAbove(path: string): string[] {
  const { root } = parse(path)
  const names = path.slice(root.length).split(sep).slice(0, -1)
  return names.map((_, index) => join(root, ...names.slice(0, index + 1)))
}

const look = (path: string): Stats | undefined => orUndefined(() => statSync(path))
const lookAtLink = (path: string): Stats | undefined => orUndefined(() => lstatSync(path))
const may = (path: string, mode: number): boolean =>
  orUndefined(() => accessSync(path, mode) ?? true) ?? false

function orUndefined<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}
