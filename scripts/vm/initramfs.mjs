// Makes the guest's initial file system: busybox, a handful of kernel modules and the script that mounts the rest.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../lib/command.mjs'
import { cpio, directory, file, symlink } from './cpio.mjs'
import { collectModules } from './modules.mjs'

/** What it takes to reach the host's files and talk to it. */
const TRANSPORT = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay']
/** What the guest is for. */
const DEVICES = ['cuse', 'tpm_vtpm_proxy']
/**
 * For TPMs that keep their state on an EFI system partition, where the two code pages are what the kernel mounts FAT
 * with, and on ext4, which asks for its checksums by another name than the module's.
 */
const FILE_SYSTEMS = ['loop', 'vfat', 'nls_cp437', 'nls_ascii', 'crc32c_generic', 'ext4']
/** The commands that guest/init.sh uses. */
const APPLETS = ['cat', 'cp', 'insmod', 'ln', 'mkdir', 'mount', 'reboot', 'sh', 'sleep', 'switch_root']

/**
 * @param {import('./kernel.mjs').Kernel} kernel
 * @returns {Promise<string>} path of the archive; made once for each kernel and state of these scripts
 */
export async function ensureInitramfs(kernel) {
  const busybox = readFileSync(findBusybox())
  const init = readFileSync(guestScript('init.sh'))
  const wanted = [...TRANSPORT, ...DEVICES, ...FILE_SYSTEMS]
  const hash = createHash('sha256')
    .update(busybox)
    .update(init)
    .update([wanted, APPLETS].join())
    .digest('hex')
  const archive = path.join(kernel.directory, `initramfs-${hash.slice(0, 16)}.cpio`)
  if (existsSync(archive)) return archive

  const modules = collectModules(kernel.modules, wanted)
  const contents = cpio([
    ...['bin', 'dev', 'host', 'job', 'layer', 'modules', 'proc', 'root', 'sys'].map(directory),
    file('bin/busybox', busybox, 0o755),
    ...APPLETS.map((applet) => symlink(`bin/${applet}`, 'busybox')),
    file('init', init, 0o755),
    file('modules/order', modules.map(({ name }) => `${name}\n`).join('')),
    ...modules.map(({ name, data }) => file(`modules/${name}.ko`, data)),
  ])
  // Another run may be making the same file at this moment; rename() makes that harmless.
  const scratch = `${archive}.${process.pid}`
  await writeFile(scratch, contents)
  await rename(scratch, archive)
  return archive
}

/** @param {string} name @returns {string} path of a script that runs inside the guest */
export function guestScript(name) {
  return fileURLToPath(new URL(`guest/${name}`, import.meta.url))
}

/** @returns {string} a busybox that needs no shared libraries */
function findBusybox() {
  const found = ['/bin/busybox', '/usr/bin/busybox'].find((candidate) => existsSync(candidate))
  if (found) return found
  throw new UserError('Cannot build the guest: busybox is missing', { hint: 'Run `npm run setup -- start`' })
}
