/** `--sysfs DIR`: mounts what /sys/class/tpm/tpmN would show of a TPM, for programs that read that. */
import { join, resolve } from 'node:path'
import type Fuse from 'fuse-native'
import { reasonOf } from '../system/reason.ts'
import type { Tpm } from '../tpm/tpm.ts'
import { askOf } from './ask.ts'
import { loadFuse } from './fuse-library.ts'
import { cannotMount, prepareMountPoint, SUBTYPE } from './mount-point.ts'
import { operationsOn } from './operations.ts'
import { Tree } from './tree.ts'
import { Unmounter } from './unmounter.ts'

/** Seconds that the kernel may believe what it was told of a file: hardly any. */
const NO_TIME = 0.001

/**
 * @param directory an empty one
 * @param root what will be our root directory later, where the directory is
 * @returns what takes it away
 * @throws SwtpmError SWTPM_ERR_SYSFS
 */
export async function mountSysfs(tpm: Tpm, directory: string, root = ''): Promise<() => Promise<void>> {
  const path = root === '' ? resolve(directory) : join(root, directory)
  prepareMountPoint(path)
  let unmounter: Unmounter | undefined
  try {
    const FuseClass = await loadFuse()
    unmounter = await Unmounter.start(path)
    const tree = new Tree({ version: tpm.version, ask: askOf(tpm), powerOns: () => tpm.powerOns })
    await mount(
      new FuseClass(path, operationsOn(tree), {
        // Other users may read what everybody may read in /sys. Without root this is not to be had by default.
        allowOther: process.geteuid?.() === 0,
        defaultPermissions: true,
        fsname: SUBTYPE,
        subtype: SUBTYPE,
        attrTimeout: NO_TIME,
        entryTimeout: NO_TIME,
        timeout: false,
      }),
    )
  } catch (error) {
    unmounter?.giveUp()
    throw cannotMount(path, reasonOf(error), error)
  }
  const started = unmounter
  return () => started.unmount()
}

const mount = (fuse: Fuse): Promise<void> =>
  new Promise((resolve, reject) => {
    fuse.mount((error) => (error ? reject(new Error(refusal(), { cause: error })) : resolve()))
  })

/** libfuse says no more than that it has failed. */
const refusal = (): string =>
  process.geteuid?.() === 0
    ? 'the kernel refuses it; to mount takes CAP_SYS_ADMIN, and in a container `--cap-add SYS_ADMIN --device /dev/fuse`'
    : 'the program fusermount3 has not mounted it, without which that takes root; Debian has it in the package fuse3: ' +
      '`apt-get install fuse3`'
