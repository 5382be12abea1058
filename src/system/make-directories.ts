/** mkdir -p, with the reason of the call that fails. Node's own says "no such file or directory" for a read-only file system. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** Others may make the same at the same time. @param mode of those that are made @throws the system's error */
export function makeDirectories(path: string, mode: number): void {
  try {
    makeDirectory(path, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error
    makeDirectories(dirname(path), mode)
    makeDirectory(path, mode)
  }
}

function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error
  }
}
