/** Questions about rights, answered with the user's name in the fault. */
import { accessSync, constants, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { ToolFailure } from './tool-failure.ts'

export function currentUserName(): string {
  try {
    return userInfo().username
  } catch {
    return '<unknown>' // a uid without a passwd entry
  }
}

export function can(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

export const canRead = (path: string): boolean => can(path, constants.R_OK)

/** @throws ToolFailure when `path` is no directory or the rights in `mode` are missing */
export function requireDirectory(path: string, mode: number): void {
  const user = currentUserName()
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ToolFailure(`Cannot use directory "${path}" as user ${user}: it must exist and be a directory`)
  }
  for (const [bit, name] of [
    [constants.R_OK, 'read'],
    [constants.W_OK, 'write'],
  ] as const) {
    if ((mode & bit) !== 0 && !can(path, bit)) {
      throw new ToolFailure(`Cannot ${name} in directory "${path}" as user ${user}: permission denied`)
    }
  }
}

/** Where a program lies: `name` itself when it has a slash, else the first executable of that name in PATH. */
export function findProgram(name: string): string | undefined {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir || '.', name))
  return candidates.find(
    (path) => can(path, constants.X_OK) && statSync(path, { throwIfNoEntry: false })?.isFile(),
  )
}
