/**
 * A failure as the sentence that its user reads (CONTRIBUTING.md, "Messages"), whatever was thrown: a fault of ours, or a system
 * error of Node that no caller has put into words. Every place that reports failures asks here, so a call that forgets to
 * catch its error costs a good explanation, and never shows a stack.
 */
import { Fault } from './errors.ts'
import { reasonOf } from './reason.ts'

/** Whether it is a fault that the user can learn from, and not a mistake in the program. */
export const isFault = (error: unknown): boolean => error instanceof Fault || isSystemError(error)

/** The sentence for a fault. A mistake in the program gives its stack, which belongs into a report of it. */
export function sentenceOf(error: unknown): string {
  if (error instanceof Fault) return error.message
  if (isSystemError(error)) return `Cannot ${action(error)}: ${reasonOf(error)}`
  return `Internal error, please report it: ${error instanceof Error ? error.stack : error}`
}

/** What a script of the user's has thrown, and where: its author can mend it. A fault needs no place. */
export function whereOf(error: unknown): string {
  if (isFault(error)) return sentenceOf(error)
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** A system error as Node throws it. */
interface SystemCallError extends NodeJS.ErrnoException {
  readonly errno: number
  readonly syscall: string
  readonly dest?: string
  readonly address?: string
  readonly port?: number
}

const isSystemError = (error: unknown): error is SystemCallError =>
  error instanceof Error &&
  typeof (error as NodeJS.ErrnoException).errno === 'number' &&
  typeof (error as NodeJS.ErrnoException).syscall === 'string'

/** What a call does, where its name is no word that says so. */
const ACTIONS: Readonly<Record<string, string>> = {
  access: 'look at',
  chmod: 'change the mode of',
  chown: 'change the owner of',
  connect: 'connect to',
  fchmod: 'change the mode of a file',
  fchown: 'change the owner of a file',
  fdatasync: 'sync a file',
  fstat: 'look at a descriptor',
  fsync: 'sync a file',
  ftruncate: 'empty a file',
  getaddrinfo: 'look up host',
  lchown: 'change the owner of',
  listen: 'listen on',
  lstat: 'look at',
  mkdir: 'make directory',
  mkdtemp: 'make temporary directory',
  read: 'read a file',
  readlink: 'follow the link',
  rename: 'rename',
  rm: 'remove',
  rmdir: 'remove directory',
  scandir: 'read directory',
  spawn: 'start',
  spawnSync: 'start',
  stat: 'look at',
  statfs: 'look at the file system of',
  unlink: 'remove',
  uv_cwd: 'find the working directory',
  uv_os_get_passwd: 'find the account of this user',
  uv_os_homedir: 'find the home directory',
  write: 'write to a file or pipe',
}

function action({ syscall, path, dest, address, port }: SystemCallError): string {
  // For programs Node appends the path to the name.
  const [call = syscall] = syscall.split(' ', 1)
  const object =
    path === undefined
      ? address === undefined
        ? ''
        : ` ${address}${port === undefined ? '' : ` port ${port}`}`
      : ` "${path}"${dest === undefined ? '' : ` to "${dest}"`}`
  return `${Object.hasOwn(ACTIONS, call) ? ACTIONS[call] : call}${object}`
}
