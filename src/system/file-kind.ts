/** What a file is, for messages that say that it is not what it should be. */
import { type Stats, statSync } from 'node:fs'

export type FileKind =
  | 'a block device'
  | 'a character device'
  | 'a directory'
  | 'a pipe'
  | 'a regular file'
  | 'a Unix socket'

/** @returns undefined where there is nothing, or nothing that we may look at */
export function fileKind(path: string): FileKind | undefined {
  try {
    return kindOf(statSync(path))
  } catch {
    return undefined
  }
}

export function kindOf(status: Stats): FileKind {
  if (status.isSocket()) return 'a Unix socket'
  if (status.isDirectory()) return 'a directory'
  if (status.isCharacterDevice()) return 'a character device'
  if (status.isBlockDevice()) return 'a block device'
  return status.isFIFO() ? 'a pipe' : 'a regular file'
}
