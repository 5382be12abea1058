// Places in the cache for what is being made. Their names end with the process that uses them, so that those of a process that
// was killed are known.

import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { distroCacheDir } from '../lib/paths.mjs'

/** @param {string} name @returns {string} an empty directory */
export function makeScratch(name) {
  mkdirSync(distroCacheDir, { recursive: true })
  removeAbandoned()
  const directory = path.join(distroCacheDir, `${name}.${process.pid}`)
  mkdirSync(directory)
  return directory
}

function removeAbandoned() {
  for (const name of readdirSync(distroCacheDir)) {
    const pid = /\.(\d+)$/.exec(name)?.[1]
    if (pid && !existsSync(`/proc/${pid}`))
      rmSync(path.join(distroCacheDir, name), { recursive: true, force: true })
  }
}
