// Where things are: the project, and the per-user cache for what is too large or too slow to make twice.

import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's top directory. */
export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')

/** The user's place for what can be made again. @see XDG Base Directory Specification */
export const cacheHome = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache')

/** Kernels, initial file systems and what was found out about this machine. Safe to delete at any time. */
export const vmCacheDir = path.join(cacheHome, 'swtpm-vm')

/** Roots of other distributions. Safe to delete at any time. */
export const distroCacheDir = path.join(cacheHome, 'swtpm-distros')

/** @param {string} file absolute path @returns {string} relative to the project where that is shorter to read */
export function displayPath(file) {
  const relative = path.relative(projectRoot, file)
  return relative.startsWith('..') ? file : relative || '.'
}
