/** Makes the guest's initial file system: busybox, kernel modules and the script that mounts the rest. */

import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REMEDIES } from '../system/missing-things.ts'
import { cacheDirectory } from './cache.ts'
import { cpio, directory, file, symlink } from './cpio.ts'
import INIT from './guest/init.sh'
import type { Kernel } from './kernel/kernel.ts'
import { MachineFault } from './machine-fault.ts'
import { collectModules, type WantedModules } from './modules.ts'

/** What it takes to talk to the host, and to reach its files. */
const CHANNELS = ['virtio_pci', 'virtio_console']
const HOST_FILES = ['9pnet_virtio', '9p', 'overlay']
/** The commands that guest/init.sh uses. */
const APPLETS = [
  ...['cat', 'chroot', 'cp', 'insmod', 'ln', 'mkdir', 'mount', 'reboot', 'sh', 'sleep', 'switch_root'],
]

/** What the kernel has to load for this machine, beside what every machine needs. */
export interface InitramfsContents extends WantedModules {
  /** Its root directory is the host's. */
  readonly hostFiles: boolean
}

/**
 * @returns the path of the archive; made once for each kernel of ours, its modules and state of these scripts
 * @throws MachineFault
 */
export async function ensureInitramfs(kernel: Kernel, contents: InitramfsContents): Promise<string> {
  const busybox = readFileSync(findBusybox())
  const { own = [], wanted = [] } = contents
  const required = [...CHANNELS, ...(contents.hostFiles ? HOST_FILES : []), ...contents.required]
  const hash = createHash('sha256')
    .update(busybox)
    .update(INIT)
    .update(JSON.stringify([kernel.image, kernel.modules, required, wanted, own, APPLETS]))
    .digest('hex')
  const folder = kernel.directory ?? cacheDirectory()
  const archive = join(folder, `initramfs-${hash.slice(0, 16)}.cpio`)
  // Kernels and modules of a developer change under the same name.
  const mayKeep = kernel.directory !== undefined && own.length === 0
  if (mayKeep && existsSync(archive)) return archive

  const modules = collectModules(kernel.modules, { required, wanted, own })
  const bytes = cpio([
    ...['bin', 'dev', 'host', 'layer', 'modules', 'proc', 'root', 'sys'].map((name) => directory(name)),
    file('bin/busybox', busybox, 0o755),
    ...APPLETS.map((applet) => symlink(`bin/${applet}`, 'busybox')),
    file('init', INIT, 0o755),
    file('modules/order', modules.map(({ name }) => `${name}\n`).join('')),
    ...modules.map(({ name, data }) => file(`modules/${name}.ko`, data)),
  ])
  // Another machine, of this program or another, may be making the same file at this moment; rename() makes that harmless.
  const scratch = `${archive}.${randomUUID()}`
  await mkdir(folder, { recursive: true })
  await writeFile(scratch, bytes)
  await rename(scratch, archive)
  return archive
}

/** A busybox that needs no shared libraries. */
function findBusybox(): string {
  const found = ['/bin/busybox', '/usr/bin/busybox'].find((candidate) => existsSync(candidate))
  if (found !== undefined) return found
  throw new MachineFault('Cannot build the guest: busybox is missing', {
    hint: `Install it: \`${REMEDIES.busybox.command}\``,
  })
}
