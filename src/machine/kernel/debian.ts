/** Fetches Debian's stock kernels and unpacks them into the cache. Nothing is installed on this machine. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../cache.ts'
import { isProgram, runProgram } from '../host-program.ts'
import { MachineFault } from '../machine-fault.ts'
import { downloadPackage, leadsTo, newestVersion, type Progress, updatePackageLists } from './apt.ts'
import type { Kernel } from './kernel.ts'
import SERIES from './series.json'
import { unpackKernel } from './vmlinux.ts'

/** Always depends on the newest build of the archive's own kernel. */
const OWN = 'linux-image-amd64'
/** The kernels that are tested, and the metapackages behind which an archive may have them: Debian 12 has both, Debian 13 the later. */
const METAPACKAGES: ReadonlyMap<string, readonly string[]> = new Map(Object.entries(SERIES))

/** The kernel in a form that boots quicker, where there was one to make. */
const VMLINUX = 'vmlinux'

export const KERNEL_SERIES: readonly string[] = [...METAPACKAGES.keys()]

/** A kernel's name, as opposed to the path of one. */
export const isSeries = (name: string): boolean => /^\d+\.\d+$/.test(name)

/** @returns of the kernels that are tested those that the archive has; or else the archive's own */
export async function availableSeries(onProgress: Progress = () => {}): Promise<string[]> {
  const found = await searchArchive()
  if (found.length > 0) return found
  await updatePackageLists('to find a kernel', onProgress)
  const afterwards = await searchArchive()
  // Who asks for that one is told why it is not there.
  return afterwards.length > 0 ? afterwards : KERNEL_SERIES.slice(0, 1)
}

async function searchArchive(): Promise<string[]> {
  const found: string[] = []
  for (const series of KERNEL_SERIES)
    if ((await isKernelAtHand(series)) || findPackage(series) !== undefined) found.push(series)
  if (found.length > 0) return found
  const own = seriesOf(leadsTo(OWN))
  return own === undefined ? [] : [own]
}

/**
 * Makes a kernel available in the cache and returns where it is.
 * @param series "6.1"
 * @throws MachineFault when the archive does not have it, or it cannot be fetched or unpacked
 */
export async function ensureKernel(series: string, onProgress: Progress = () => {}): Promise<Kernel> {
  const known = await remembered(series)
  if (known !== undefined) return describe(series, known)
  if (!isProgram('apt-get') || !isProgram('dpkg-deb'))
    throw new MachineFault(
      `Cannot fetch kernel ${series}: this machine has no apt, and so no archive of Debian`,
      {
        hint: 'Name a kernel by its path: a bzImage with --modules DIR, or a build tree',
      },
    )

  const name = await concretePackage(series, onProgress)
  const version = newestVersion(name)
  const directory = join(cacheDirectory(), `${name}_${version}`)
  // The file is written last: a directory without it was left by an interrupted run.
  const complete = join(directory, '.complete')
  if (!existsSync(complete)) {
    onProgress(`downloading ${name} ${version}`)
    await unpackInto(directory, name, onProgress)
    const { image } = await describe(series, directory)
    await unpackKernel(image, join(directory, VMLINUX))
    await writeFile(complete, '')
    await removeOlder(series, directory)
  }
  await remember(series, directory)
  return describe(series, directory)
}

/** @returns whether ensureKernel() has nothing to download */
export async function isKernelAtHand(series: string): Promise<boolean> {
  return (await remembered(series)) !== undefined
}

// Asking apt takes over a second, and its answer changes only when its lists do: their time stamp is kept with it.

/** @returns the directory, unless apt has to be asked again */
async function remembered(series: string): Promise<string | undefined> {
  if (!existsSync(memory(series))) return undefined
  const { directory, listsMtimeMs } = JSON.parse(await readFile(memory(series), 'utf8'))
  const valid = listsMtimeMs === (await aptListsMtimeMs()) && existsSync(join(directory, '.complete'))
  return valid ? directory : undefined
}

async function remember(series: string, directory: string): Promise<void> {
  await writeFile(memory(series), JSON.stringify({ directory, listsMtimeMs: await aptListsMtimeMs() }))
}

const memory = (series: string): string => join(cacheDirectory(), `kernel-${series}.json`)

const aptListsMtimeMs = async (): Promise<number> => (await stat('/var/lib/apt/lists')).mtimeMs

/** @returns the package with the newest build */
async function concretePackage(series: string, onProgress: Progress): Promise<string> {
  const known = findPackage(series)
  if (known !== undefined) return known
  await updatePackageLists(`to find kernel ${series}`, onProgress)
  const name = findPackage(series)
  if (name !== undefined) return name
  const own = seriesOf(leadsTo(OWN))
  throw new MachineFault(
    `Cannot find kernel ${series}: this machine's package archive has ${own ? `kernel ${own}` : 'none of Debian'}`,
    { hint: "Take another with --kernel, or add Debian 12's archive (bookworm) to the sources of apt" },
  )
}

function findPackage(series: string): string | undefined {
  const metapackages = METAPACKAGES.get(series) ?? [OWN]
  return metapackages.map(leadsTo).find((name) => seriesOf(name) === series)
}

/** @returns "6.1" */
const seriesOf = (name = ''): string | undefined => /^linux-image-(\d+\.\d+)/.exec(name)?.[1]

async function unpackInto(directory: string, name: string, onProgress: Progress): Promise<void> {
  const cache = cacheDirectory()
  await mkdir(cache, { recursive: true })
  const scratch = await mkdtemp(join(cache, 'download-'))
  try {
    await downloadPackage(name, scratch, onProgress)
    const archive = (await readdir(scratch)).find((entry) => entry.endsWith('.deb')) ?? name
    const unpacked = join(scratch, 'unpacked')
    await runProgram('dpkg-deb', ['-x', join(scratch, archive), unpacked], {
      hint: `Unpacking needs about 400 MB: is there room in ${cache}?`,
    })
    await rm(directory, { recursive: true, force: true })
    await rename(unpacked, directory)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function cachedDirectories(series: string): Promise<string[]> {
  const cache = cacheDirectory()
  const entries = existsSync(cache) ? await readdir(cache) : []
  return entries
    .filter((entry) => entry.startsWith(`linux-image-${series}.`))
    .map((entry) => join(cache, entry))
}

async function removeOlder(series: string, current: string): Promise<void> {
  for (const directory of await cachedDirectories(series)) {
    if (directory !== current) await rm(directory, { recursive: true, force: true })
  }
}

async function describe(series: string, directory: string): Promise<Kernel> {
  const boot = await readdir(join(directory, 'boot'))
  const image = boot.find((entry) => entry.startsWith('vmlinuz-'))
  if (image === undefined)
    throw new MachineFault(`No kernel image in "${directory}"`, {
      hint: 'Delete that directory and try again',
    })
  const release = image.slice('vmlinuz-'.length)
  const vmlinux = join(directory, VMLINUX)
  const bzImage = join(directory, 'boot', image)
  // Since Debian 13 the package has them where /lib leads.
  const modules = ['lib/modules', 'usr/lib/modules'].map((folder) => join(directory, folder, release))
  return {
    series,
    release,
    image: existsSync(vmlinux) ? vmlinux : bzImage,
    bzImage,
    modules: modules.find((folder) => existsSync(folder)) ?? modules[0],
    directory,
  }
}
