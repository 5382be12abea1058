/**
 * What a process usually finds around it, and a container, a service or a new root directory may not have: an account, a home
 * directory, a working directory. Nothing here throws for the lack of it.
 */
import { accessSync, constants } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { isAbsolute, resolve } from 'node:path'

/** From HOME, else from the account; undefined for a user that has neither. */
export function homeDirectory(): string | undefined {
  return orUndefined(() => homedir()) || undefined
}

/** From the account alone, for a process that has become another user. */
export function accountHome(): string | undefined {
  return orUndefined(() => userInfo().homedir) || undefined
}

/** The name of the account; undefined for a user id without one. */
export function accountName(): string | undefined {
  return orUndefined(() => userInfo().username)
}

/** Who we are, for a message: the name of the account, or the number. */
export function describeUser(): string {
  return accountName() ?? `with the id ${process.geteuid?.() ?? 'unknown'}`
}

/** A directory for what lasts no longer than this process: what TMPDIR names, or the next best where that cannot be used. */
export function temporaryDirectory(): string {
  const usable = (path: string): boolean =>
    orUndefined(() => accessSync(path, constants.W_OK | constants.X_OK) ?? true) ?? false
  return [tmpdir(), '/tmp', '/var/tmp', '/dev/shm'].find(usable) ?? tmpdir()
}

/** Undefined when it has been removed, or when a folder above it may not be entered. */
export function workingDirectory(): string | undefined {
  const directory = orUndefined(() => process.cwd())
  return directory !== undefined && isAbsolute(directory) ? directory : undefined
}

/** The same file after a change of the working directory. Where there is none, relative paths lead nowhere anyway. */
export function absolutePath(path: string): string {
  return isAbsolute(path) ? path : resolve(workingDirectory() ?? '/', path)
}

function orUndefined<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}
