/** Questions about rights, answered with the user's name in the fault. */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { describeUser } from '../../system/surroundings.ts'
import { ToolFailure } from './tool-failure.ts'

/** Who we are, for a message: the name of the account, or the number of a user without one. */
export const currentUserName = describeUser

/** @returns why we may not do with `path` what `mode` says; undefined if we may */
export function refusal(path: string, mode: number): string | undefined {
  try {
    accessSync(path, mode)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

export const can = (path: string, mode: number): boolean => refusal(path, mode) === undefined

export const canRead = (path: string): boolean => can(path, constants.R_OK)

/** @throws ToolFailure when `path` is no directory or the rights in `mode` are missing */
export function requireDirectory(path: string, mode: number): void {
  const problem = (reason: string): ToolFailure =>
    new ToolFailure(`Cannot use directory "${path}" as user ${currentUserName()}: ${reason}`)
  let isDirectory: boolean
  try {
    isDirectory = statSync(path).isDirectory()
  } catch (error) {
    throw problem(reasonOf(error))
  }
  if (!isDirectory) throw problem('it is no directory')
  for (const [bit, name] of [
    [constants.R_OK, 'read'],
    [constants.W_OK, 'write'],
  ] as const) {
    const reason = (mode & bit) === 0 ? undefined : refusal(path, bit)
    if (reason !== undefined) throw problem(`cannot ${name} in it: ${reason}`)
  }
}

/** As execvp(3) has it. */
const DEFAULT_PATH = '/bin:/usr/bin'

/** Where a program lies: `name` itself when it has a slash, else the first executable of that name in PATH. */
export function findProgram(name: string): string | undefined {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.PATH ?? DEFAULT_PATH).split(delimiter).map((dir) => join(dir || '.', name))
  return candidates.find((path) => can(path, constants.X_OK) && isFile(path))
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}
