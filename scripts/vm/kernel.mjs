// Fetches Debian's stock kernels and unpacks them into the cache. Nothing is installed on this machine.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { capture, run, UserError } from '../lib/command.mjs'
import { vmCacheDir } from '../lib/paths.mjs'
import { downloadPackages, updatePackageLists } from '../setup/apt.mjs'
import { unpackKernel } from './vmlinux.mjs'

/** Always depends on the newest build of the archive's own kernel. */
const OWN = 'linux-image-amd64'
/** The kernels that are tested, and the metapackages behind which an archive may have them: Debian 12 has both, Debian 13 the later. */
const METAPACKAGES = new Map([
  ['6.1', [OWN]],
  ['6.12', ['linux-image-6.12-amd64', OWN]],
])

/** The kernel in a form that boots quicker, where there was one to make. */
const VMLINUX = 'vmlinux'

export const KERNEL_SERIES = [...METAPACKAGES.keys()]

/**
 * @typedef {object} Kernel
 * @property {string} series "6.1"
 * @property {string} release what `uname -r` says in the guest, "6.1.0-50-amd64"
 * @property {string} image path of the bootable kernel
 * @property {string} modules path of /lib/modules/RELEASE
 * @property {string} directory the unpacked package; other files made for this kernel may be put here
 */

/** @returns {Promise<string[]>} of the kernels that are tested those that the archive has; or else the archive's own */
export async function availableSeries() {
  const found = await searchArchive()
  if (found.length > 0) return found
  await updatePackageLists('to find a kernel')
  const afterwards = await searchArchive()
  // Who asks for that one is told why it is not there.
  return afterwards.length > 0 ? afterwards : KERNEL_SERIES.slice(0, 1)
}

/** @returns {Promise<string[]>} */
async function searchArchive() {
  const found = []
  for (const series of KERNEL_SERIES)
    if ((await isKernelAtHand(series)) || findPackage(series) !== undefined) found.push(series)
  if (found.length > 0) return found
  const own = seriesOf(leadsTo(OWN))
  return own === undefined ? [] : [own]
}

/**
 * Makes a kernel available in the cache and returns where it is.
 *
 * @param {string} series "6.1"
 * @param {(line: string) => void} [onProgress]
 * @returns {Promise<Kernel>}
 */
export async function ensureKernel(series, onProgress = () => {}) {
  const known = await remembered(series)
  if (known) return describe(series, known)

  const name = await concretePackage(series)
  const version = /^Version: (.*)$/m.exec(capture('apt-cache', ['show', '--no-all-versions', name]))?.[1]
  const directory = path.join(vmCacheDir, `${name}_${version}`)
  // The file is written last: a directory without it was left by an interrupted run.
  const complete = path.join(directory, '.complete')
  if (!existsSync(complete)) {
    onProgress(`downloading ${name} ${version}`)
    await unpackInto(directory, name)
    const { image } = await describe(series, directory)
    await unpackKernel(image, path.join(directory, VMLINUX))
    await writeFile(complete, '')
    await removeOlder(series, directory)
  }
  await remember(series, directory)
  return describe(series, directory)
}

/** @param {string} series @returns {Promise<boolean>} whether ensureKernel() has nothing to download */
export async function isKernelAtHand(series) {
  return (await remembered(series)) !== undefined
}

// Asking apt takes over a second, and its answer changes only when its lists do: their time stamp is kept with it.

/** @param {string} series @returns {Promise<string | undefined>} the directory, unless apt has to be asked again */
async function remembered(series) {
  if (!existsSync(memory(series))) return undefined
  const { directory, listsMtimeMs } = JSON.parse(await readFile(memory(series), 'utf8'))
  const valid = listsMtimeMs === (await aptListsMtimeMs()) && existsSync(path.join(directory, '.complete'))
  return valid ? directory : undefined
}

/** @param {string} series @param {string} directory */
async function remember(series, directory) {
  await writeFile(memory(series), JSON.stringify({ directory, listsMtimeMs: await aptListsMtimeMs() }))
}

/** @param {string} series */
const memory = (series) => path.join(vmCacheDir, `kernel-${series}.json`)

async function aptListsMtimeMs() {
  return (await stat('/var/lib/apt/lists')).mtimeMs
}

/** @param {string} series @returns {Promise<string>} the package with the newest build */
async function concretePackage(series) {
  const known = findPackage(series)
  if (known) return known
  await updatePackageLists(`to find kernel ${series}`)
  const name = findPackage(series)
  if (name) return name
  const own = seriesOf(leadsTo(OWN))
  throw new UserError(
    `Cannot find kernel ${series}: this machine's package archive has ${own ? `kernel ${own}` : 'none of Debian'}`,
    { hint: "Take another with --kernel, or add Debian 12's archive (bookworm) to the sources of apt" },
  )
}

/** @param {string} series @returns {string | undefined} */
function findPackage(series) {
  const metapackages = METAPACKAGES.get(series) ?? [OWN]
  return metapackages.map(leadsTo).find((name) => seriesOf(name) === series)
}

/** @param {string} metapackage @returns {string | undefined} "linux-image-6.1.0-50-amd64" */
function leadsTo(metapackage) {
  const { stdout } = spawnSync('apt-cache', ['depends', metapackage], { encoding: 'utf8' })
  return /Depends: (linux-image-\S+)/.exec(stdout ?? '')?.[1]
}

/** @param {string | undefined} name @returns {string | undefined} "6.1" */
const seriesOf = (name = '') => /^linux-image-(\d+\.\d+)/.exec(name)?.[1]

/** @param {string} directory @param {string} name */
async function unpackInto(directory, name) {
  await mkdir(vmCacheDir, { recursive: true })
  const scratch = await mkdtemp(path.join(vmCacheDir, 'download-'))
  try {
    await downloadPackages([name], scratch)
    const [archive] = (await readdir(scratch)).filter((entry) => entry.endsWith('.deb'))
    const unpacked = path.join(scratch, 'unpacked')
    await run('dpkg-deb', ['-x', path.join(scratch, archive), unpacked], {
      hint: `Unpacking needs about 400 MB: is there room in ${vmCacheDir}?`,
    })
    await rm(directory, { recursive: true, force: true })
    await rename(unpacked, directory)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** @param {string} series @returns {Promise<string[]>} */
async function cachedDirectories(series) {
  const entries = existsSync(vmCacheDir) ? await readdir(vmCacheDir) : []
  return entries
    .filter((entry) => entry.startsWith(`linux-image-${series}.`))
    .map((entry) => path.join(vmCacheDir, entry))
}

/** @param {string} series @param {string} current */
async function removeOlder(series, current) {
  for (const directory of await cachedDirectories(series)) {
    if (directory !== current) await rm(directory, { recursive: true, force: true })
  }
}

/** @param {string} series @param {string} directory @returns {Promise<Kernel>} */
async function describe(series, directory) {
  const boot = await readdir(path.join(directory, 'boot'))
  const image = boot.find((entry) => entry.startsWith('vmlinuz-'))
  if (!image)
    throw new UserError(`No kernel image in "${directory}"`, { hint: 'Delete that directory and try again' })
  const release = image.slice('vmlinuz-'.length)
  const vmlinux = path.join(directory, VMLINUX)
  // Since Debian 13 the package has them where /lib leads.
  const modules = ['lib/modules', 'usr/lib/modules'].map((folder) => path.join(directory, folder, release))
  return {
    series,
    release,
    image: existsSync(vmlinux) ? vmlinux : path.join(directory, 'boot', image),
    modules: /** @type {string} */ (modules.find(existsSync) ?? modules[0]),
    directory,
  }
}
