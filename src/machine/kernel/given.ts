/** A kernel that the user names by its path: an image, or the tree that it was built in. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MachineFault } from '../machine-fault.ts'
import type { Kernel } from './kernel.ts'

/** Where a build of Linux for x86 leaves its image. */
const IMAGE_IN_TREE = 'arch/x86/boot/bzImage'
const RELEASE_IN_TREE = 'include/config/kernel.release'
/** In a bzImage: the text "HdrS", and where the version's text is, from 0x200 on. @see https://docs.kernel.org/arch/x86/boot.html */
const SIGNATURE = { offset: 0x202, text: 'HdrS' }
const VERSION_POINTER = 0x20e

/**
 * @param path a bzImage, or a tree that has been built
 * @param modules where its modules are: /lib/modules/RELEASE, a directory that has lib/modules/RELEASE, or a tree
 * @throws MachineFault
 */
export function givenKernel(path: string, modules: string | undefined): Kernel {
  const place = resolve(path)
  if (!existsSync(place))
    throw new MachineFault(`There is no kernel "${path}"`, {
      hint: "Name one of Debian's (6.1, 6.12), a bzImage, or the tree that it was built in",
    })
  const isTree = statSync(place).isDirectory()
  const image = isTree ? join(place, IMAGE_IN_TREE) : place
  if (!existsSync(image))
    throw new MachineFault(`"${path}" is a directory without ${IMAGE_IN_TREE}`, {
      hint: 'Build the kernel there first: `make bzImage modules`',
    })
  const release = isTree ? read(join(place, RELEASE_IN_TREE)) : releaseOf(image)
  return {
    series: path,
    release,
    image,
    bzImage: image,
    modules: modules === undefined ? (isTree ? place : undefined) : modulesDirectory(modules, release),
    directory: undefined,
  }
}

const read = (file: string): string => readFileSync(file, 'utf8').trim()

/** @throws MachineFault when the file is no bzImage */
function releaseOf(image: string): string {
  const bytes = readFileSync(image)
  const signature = bytes.toString('latin1', SIGNATURE.offset, SIGNATURE.offset + SIGNATURE.text.length)
  if (bytes.length < 1024 || signature !== SIGNATURE.text)
    throw new MachineFault(`"${image}" is no bzImage`, {
      hint: `A build of Linux leaves one in ${IMAGE_IN_TREE}; Debian calls it /boot/vmlinuz-RELEASE`,
    })
  const start = bytes.readUInt16LE(VERSION_POINTER) + 0x200
  const version = bytes.toString('latin1', start, bytes.indexOf(0, start))
  return version.split(' ')[0] ?? ''
}

/** @throws MachineFault when there are none in the directory */
function modulesDirectory(given: string, release: string): string {
  const place = resolve(given)
  const candidates = [place, join(place, release), join(place, 'lib/modules', release)]
  const found = candidates.find((folder) =>
    ['kernel', 'modules.order', 'modules.builtin'].some((name) => existsSync(join(folder, name))),
  )
  if (found !== undefined) return found
  const has = existsSync(place)
    ? readdirSync(place).slice(0, 5).join(', ')
    : 'nothing: there is no such directory'
  throw new MachineFault(`No modules of kernel ${release} in "${given}" (it has ${has || 'nothing'})`, {
    hint: 'Install them there: `make modules_install INSTALL_MOD_PATH=DIR`, then --modules DIR',
  })
}
