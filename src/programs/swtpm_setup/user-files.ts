/**
 * Files for the user that come into being together, and never instead of something that the user has: they are written
 * under other names first, and get theirs when everything else has succeeded.
 */
import {
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'

const MODE = 0o640

export class UserFiles {
  readonly #folder: string
  readonly #keepsFormer: boolean
  /** The final names of those that are written. */
  readonly #names: string[] = []

  /** @param keepsFormer a file of the same name is renamed to NAME.old instead of being an error */
  constructor(folder: string, keepsFormer: boolean) {
    this.#folder = folder
    this.#keepsFormer = keepsFormer
  }

  /** @throws ToolFailure when the user has another file of this name */
  add(name: string, content: Buffer): void {
    const path = join(this.#folder, name)
    const temporary = temporaryOf(path)
    attempt(path, () => {
      const existing = lstatSync(path, { throwIfNoEntry: false })
      if (existing?.isFile() && readFileSync(path).equals(content)) return
      if (existing !== undefined && !this.#keepsFormer) {
        throw new Error('there is another file of this name; move it away, or name another directory')
      }
      rmSync(temporary, { force: true })
      const { O_WRONLY, O_CREAT, O_EXCL } = constants
      const fd = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL, MODE)
      this.#names.push(name)
      try {
        writeFileSync(fd, content)
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
    })
  }

  /** Gives the files their names. @throws ToolFailure */
  publish(): void {
    for (;;) {
      const name = this.#names[0]
      if (name === undefined) return
      const path = join(this.#folder, name)
      attempt(path, () => {
        if (this.#keepsFormer) keepFormer(path)
        moveToFreeName(temporaryOf(path), path)
      })
      this.#names.shift()
    }
  }

  /** Removes what has not been published. */
  discard(): void {
    for (const name of this.#names.splice(0)) rmSync(temporaryOf(join(this.#folder, name)), { force: true })
  }
}

/** The same for every run, so that one removes what a killed one has left. */
const temporaryOf = (path: string): string => `${path}.swtpm_setup`

/** Renames a file that exists to the first free one of NAME.old, NAME.old2 … */
function keepFormer(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  for (let number = 1; ; number++) {
    const former = `${path}.old${number === 1 ? '' : number}`
    if (lstatSync(former, { throwIfNoEntry: false }) !== undefined) continue
    renameSync(path, former)
    return
  }
}

/** link(2) never replaces a file. */
function moveToFreeName(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    // A file system without links, such as FAT.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EPERM' && code !== 'EOPNOTSUPP') throw error
    renameSync(from, to)
    return
  }
  unlinkSync(from)
}

/** @throws ToolFailure */
function attempt(path: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    throw new ToolFailure(`Cannot write file "${path}": ${reasonOf(error)}`, { cause: error })
  }
}
