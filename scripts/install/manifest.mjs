// The list of what an installation has put where: what uninstalling goes by.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { UserError } from '../lib/command.mjs'

/**
 * @typedef {{ path: string, kind: 'file' | 'link' | 'config', sha256: string }} Installed `sha256`: of its contents, or
 *   of where a link points
 * @typedef {{ version: 1, files: Installed[], directories: string[] }} Manifest `directories`: those that were made for
 *   it; paths are without --destdir
 */

/** @param {string | Buffer} contents */
export const digest = (contents) => createHash('sha256').update(contents).digest('hex')

/** @param {string} file @returns {Manifest | undefined} undefined if there is none */
export function readManifest(file) {
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined
    throw new UserError(`Cannot read "${file}": ${/** @type {Error} */ (error).message}`)
  }
  try {
    const manifest = JSON.parse(text)
    if (manifest.version !== 1) throw new Error(`it is of version ${manifest.version}`)
    return manifest
  } catch (error) {
    throw new UserError(`Cannot use "${file}": ${/** @type {Error} */ (error).message}`, {
      hint: 'It was written by another version of swtpm: uninstall with that version',
    })
  }
}
