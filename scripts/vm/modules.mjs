// Picks kernel modules and what they depend on out of an unpacked kernel package.
//
// The package carries no modules.dep (depmod makes it at installation), so the dependencies are read from the
// modules themselves: each names them in its .modinfo section.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { captureBytes, UserError } from '../lib/command.mjs'

/** @typedef {{ name: string, data: Buffer }} Module */

/**
 * @param {string} modulesDir /lib/modules/RELEASE of the unpacked package
 * @param {string[]} wanted module names
 * @returns {Module[]} in the order in which they can be loaded; those built into the kernel are left out
 */
export function collectModules(modulesDir, wanted) {
  const available = index(modulesDir)
  const builtin = builtinModules(modulesDir)
  /** @type {Map<string, Module>} */
  const collected = new Map()

  const collect = (/** @type {string} */ name) => {
    if (collected.has(name) || builtin.has(name)) return
    const file = available.get(name)
    if (!file) throw new UserError(`Kernel module "${name}" is not in "${modulesDir}"`)
    const data = readModule(file)
    for (const dependency of dependencies(data)) collect(dependency)
    collected.set(name, { name, data })
  }
  for (const name of wanted) collect(name)
  return [...collected.values()]
}

/** @param {string} modulesDir @returns {Map<string, string>} module name to path */
function index(modulesDir) {
  const found = new Map()
  for (const entry of readdirSync(path.join(modulesDir, 'kernel'), { recursive: true })) {
    const file = String(entry)
    if (/\.ko(\.xz)?$/.test(file)) found.set(moduleName(file), path.join(modulesDir, 'kernel', file))
  }
  return found
}

/** @param {string} modulesDir @returns {Set<string>} */
function builtinModules(modulesDir) {
  const list = readFileSync(path.join(modulesDir, 'modules.builtin'), 'utf8')
  return new Set(list.split('\n').map(moduleName))
}

/** @param {string} file @returns {string} a file may spell with "-" what the module's name spells with "_" */
function moduleName(file) {
  return path
    .basename(file)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_')
}

/** @param {string} file @returns {Buffer} */
function readModule(file) {
  if (!file.endsWith('.xz')) return readFileSync(file)
  return captureBytes('xz', ['-dc', file])
}

/** @param {Buffer} data @returns {string[]} */
function dependencies(data) {
  const key = 'depends='
  const start = data.indexOf(`\0${key}`) + 1
  if (start === 0) return []
  const list = data.toString('latin1', start + key.length, data.indexOf(0, start))
  return list.split(',').filter(Boolean).map(moduleName)
}
