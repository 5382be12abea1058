// Debian packages that are unpacked into the cache and not installed: what would be a service of this machine if it were.
// Tests lay them over the machine's own files (test/support/layered-root.ts).

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { capture, run, succeeds } from '../lib/command.mjs'
import { vmCacheDir } from '../lib/paths.mjs'
import { downloadPackages, updatePackageLists } from './apt.mjs'

/** @type {Record<string, { why: string, names: string[] }>} */
const SETS = {
  libvirt: {
    why: 'libvirt, with its profiles for AppArmor',
    names: ['libvirt-daemon-system', 'libvirt-clients', 'qemu-utils', 'apparmor'],
  },
}

/** What Debian has below / in some releases and below /usr in others. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64']

/** @param {string} set a name of SETS @returns {import('./steps.mjs').SetupStep} */
export function unpackedPackages(set) {
  return {
    title: `Debian's ${set}`,
    isDone: async () => (await remembered(set)) !== undefined,
    announce: () => `Fetch ${describe(set).why} (they are unpacked, not installed)`,
    run: () => ensureUnpacked(set),
  }
}

/** @param {string} set @returns {Promise<string | undefined>} the directory, if there is nothing to download */
export const unpackedAtHand = (set) => remembered(set)

/**
 * @param {string} set a name of SETS
 * @returns {Promise<string>} a directory with usr, etc and var: those of the set's packages, and of what they depend on, that
 *   are not installed on this machine
 */
export async function ensureUnpacked(set) {
  const known = await remembered(set)
  if (known !== undefined) return known
  const packages = await missing(describe(set).names)
  const digest = createHash('sha256').update(packages.join()).digest('hex')
  const directory = path.join(vmCacheDir, `${set}-${digest.slice(0, 16)}`)
  if (!existsSync(directory)) await unpackInto(directory, packages)
  await remember(set, directory)
  await removeOlder(set, directory)
  return directory
}

/** @param {string} set */
function describe(set) {
  const found = SETS[set]
  if (found === undefined) throw new Error(`No set of packages "${set}"`)
  return found
}

/** @param {string[]} names @returns {Promise<string[]>} NAME=VERSION of each package that would be installed */
async function missing(names) {
  if (!names.every((name) => succeeds('apt-cache', ['show', name]))) {
    await updatePackageLists('because the package lists are missing or old')
  }
  const simulation = capture('apt-get', ['install', '--simulate', '--no-install-recommends', ...names], {
    hint: `Tests need these packages: ${names.join(' ')}`,
    env: { ...process.env, LC_ALL: 'C' },
  })
  return [...simulation.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+) /gm)].map(
    ([, name, version]) => `${name}=${version}`,
  )
}

/** @param {string} directory @param {string[]} packages */
async function unpackInto(directory, packages) {
  await mkdir(vmCacheDir, { recursive: true })
  const scratch = await mkdtemp(path.join(vmCacheDir, 'download-'))
  try {
    if (packages.length > 0) await downloadPackages(packages, scratch)
    const unpacked = path.join(scratch, 'unpacked')
    await mkdir(unpacked)
    for (const archive of (await readdir(scratch)).filter((entry) => entry.endsWith('.deb'))) {
      await run('dpkg-deb', ['-x', path.join(scratch, archive), unpacked])
    }
    for (const name of MERGED.filter((each) => existsSync(path.join(unpacked, each)))) {
      await cp(path.join(unpacked, name), path.join(unpacked, 'usr', name), {
        recursive: true,
        verbatimSymlinks: true,
        preserveTimestamps: true,
      })
      await rm(path.join(unpacked, name), { recursive: true })
    }
    await rm(directory, { recursive: true, force: true })
    await rename(unpacked, directory)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** @param {string} set @param {string} current */
async function removeOlder(set, current) {
  for (const name of await readdir(vmCacheDir)) {
    const directory = path.join(vmCacheDir, name)
    if (new RegExp(`^${set}-[0-9a-f]{16}$`).test(name) && directory !== current) {
      await rm(directory, { recursive: true, force: true })
    }
  }
}

// Asking apt takes a second, and its answer changes only with its lists and with what is installed.

const STATE = ['/var/lib/apt/lists', '/var/lib/dpkg/status']

/** @param {string} set */
const memory = (set) => path.join(vmCacheDir, `${set}.json`)

/** @param {string} set @returns {Promise<string>} changes when apt has to be asked again */
async function stateOf(set) {
  const times = await Promise.all(STATE.map(async (file) => (await stat(file)).mtimeMs))
  return [...times, ...describe(set).names].join()
}

/** @param {string} set @returns {Promise<string | undefined>} */
async function remembered(set) {
  if (!existsSync(memory(set))) return undefined
  const { directory, state } = JSON.parse(await readFile(memory(set), 'utf8'))
  return existsSync(directory) && state === (await stateOf(set)) ? directory : undefined
}

/** @param {string} set @param {string} directory */
async function remember(set, directory) {
  await writeFile(memory(set), JSON.stringify({ directory, state: await stateOf(set) }))
}
