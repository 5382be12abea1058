// Takes away what the manifest lists, and nothing else.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { UserError } from '../lib/command.mjs'
import { note, say, step } from '../lib/terminal.mjs'
import { layout, manifestPath } from './layout.mjs'
import { digest, readManifest } from './manifest.mjs'
import { tellBeforeRemoval, tellRemoved } from './system.mjs'
import { isThere, removeEmpty } from './transaction.mjs'

/** @param {{ prefix: string, destdir: string }} options @throws {UserError} when something could not be removed */
export async function uninstall({ prefix, destdir }) {
  const inDestdir = (/** @type {string} */ file) => path.join(destdir || '/', file)
  const places = layout(prefix)
  const manifestFile = inDestdir(manifestPath(places))
  const manifest = readManifest(manifestFile)
  if (manifest === undefined) {
    throw new UserError(`Cannot uninstall: there is no "${manifestFile}"`, {
      hint: 'Nothing is installed there; give the --prefix and --destdir that were installed with',
    })
  }

  if (destdir === '') tellBeforeRemoval(places)
  /** @type {import('./manifest.mjs').Installed[]} */
  const stuck = []
  const faults = new Set()
  await step(`Remove ${manifest.files.length} files below ${inDestdir(prefix)}`, async () => {
    for (const installed of manifest.files) {
      const target = inDestdir(installed.path)
      if (!isThere(target)) {
        note(`${target} has gone already`)
      } else if (installed.kind === 'config' && digest(readFileSync(target)) !== installed.sha256) {
        note(`${target} has been changed and is left for you`)
      } else {
        try {
          rmSync(target)
          say(`  ${target}`)
        } catch (error) {
          stuck.push(installed)
          faults.add(/** @type {Error} */ (error).message)
        }
      }
    }
    if (stuck.length > 0) {
      keep(manifestFile, { ...manifest, files: stuck })
      throw new UserError(`Cannot remove ${stuck.length} files: ${[...faults].join(', ')}`, {
        hint: 'Run it again as root; what is left is still on the list',
      })
    }
    rmSync(manifestFile)
    removeEmpty(manifest.directories.map(inDestdir))
  })
  if (destdir === '') tellRemoved()
  note('TPM states in /var/lib/swtpm, the CA in /var/lib/swtpm-localca and the user tss are left for you')
}

/** @param {string} file @param {import('./manifest.mjs').Manifest} manifest */
function keep(file, manifest) {
  try {
    writeFileSync(file, `${JSON.stringify(manifest, undefined, 1)}\n`)
  } catch {
    // Then the old list stays, which has more than is there: that is no harm.
  }
}
