// Changes many files as if at once: everything is written beside its place first, then put there, and until the end every
// step can be taken back. Synchronous, so that it can be taken back from an "exit" handler too. What a power cut leaves
// beside the files is replaced when it is tried again.

import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'

const DIRECTORY_MODE = 0o755

export class Transaction {
  /** @type {(() => void)[]} */
  #undo = []
  /** Old files, kept until the end. @type {string[]} */
  #backups = []
  /** Directories that did not exist before. @type {string[]} */
  madeDirectories = []
  /** Written, and to be put in its place. @type {[scratch: string, target: string][]} */
  #pending = []

  /** @param {string} directory makes it, and what is missing above it */
  makeDirectory(directory) {
    if (existsSync(directory)) return
    this.makeDirectory(path.dirname(directory))
    mkdirSync(directory)
    this.#undo.push(() => rmdirSync(directory))
    this.madeDirectories.push(directory)
    // Whatever the umask says.
    chmodSync(directory, DIRECTORY_MODE)
  }

  /** @param {string} target @param {Buffer} contents @param {number} mode */
  file(target, contents, mode) {
    const scratch = this.#scratch(target)
    writeFileSync(scratch, contents, { flag: 'wx' })
    chmodSync(scratch, mode)
  }

  /** @param {string} target @param {string} pointsTo */
  link(target, pointsTo) {
    symlinkSync(pointsTo, this.#scratch(target))
  }

  /** @param {string} target @returns {string} a free name beside it, for what is to be there */
  #scratch(target) {
    this.makeDirectory(path.dirname(target))
    const scratch = `${target}.swtpm-new`
    this.#undo.push(() => rmSync(scratch, { force: true }))
    rmSync(scratch, { force: true })
    this.#pending.push([scratch, target])
    return scratch
  }

  /** Puts everything that has been written in its place, what was written last first. */
  putInPlace() {
    for (const [scratch, target] of this.#pending.splice(0).reverse()) {
      this.remove(target)
      this.#undo.push(() => rmSync(target, { force: true }))
      renameSync(scratch, target)
    }
  }

  /** @param {string} target which may be missing */
  remove(target) {
    if (!isThere(target)) return
    const backup = `${target}.swtpm-old`
    renameSync(target, backup)
    this.#backups.push(backup)
    this.#undo.push(() => renameSync(backup, target))
  }

  /** From here on nothing is taken back. */
  commit() {
    this.#undo = []
    for (const backup of this.#backups) rmSync(backup, { force: true })
  }

  /** @returns {string[]} what could not be taken back; each with its reason */
  rollBack() {
    const faults = []
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        undo()
      } catch (error) {
        faults.push(/** @type {Error} */ (error).message)
      }
    }
    return faults
  }
}

/** @param {string} file also a link that leads nowhere */
export function isThere(file) {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    // Something on the way to it is no directory.
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOTDIR') return false
    throw error
  }
}

/** @param {string[]} directories that were made by an installation; others may have put something there since */
export function removeEmpty(directories) {
  for (const directory of [...directories].sort((a, b) => b.length - a.length)) {
    try {
      rmdirSync(directory)
    } catch {}
  }
}
