/** What a QEMU guest with a TPM boots: Debian's kernel and an initial file system that is nothing but busybox. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cpio, directory, file } from '../../src/machine/cpio.ts'
import { ensureKernel } from '../../src/machine/kernel/debian.ts'
import { type Cleanup, temporaryDirectory } from './swtpm.ts'

export interface GuestImage {
  readonly kernel: string
  readonly initramfs: string
}

const KERNEL_SERIES = '6.1'
const QEMU = '/usr/bin/qemu-system-x86_64'
const BUSYBOX = '/bin/busybox'

/**
 * The shell on the second serial port: it evaluates lines, and ends each one's output with \001, the exit status, \002.
 * No file system of the host is mounted, since that would keep QEMU from migrating.
 */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys

# Sends a TPM command written in hex and prints the response in hex.
tpm() {
  exec 3<>/dev/tpm0
  echo "$1" | xxd -r -p >&3
  dd bs=4096 count=1 <&3 2>/dev/null | xxd -p | tr -d '\\n'
  exec 3>&-
}

exec <>/dev/ttyS1 >&0
stty -echo -onlcr
printf '\\001up\\002'
while read -r line; do
  eval "$line"
  printf '\\001%d\\002' $?
done
`

/** What is missing on this machine for a guest; false if nothing is. */
export const withoutQemu: string | false = existsSync(QEMU)
  ? existsSync(BUSYBOX)
    ? false
    : `${BUSYBOX} is missing: apt-get install busybox-static`
  : `${QEMU} is missing: apt-get install qemu-system-x86`

/** @throws when Debian's kernel is neither in the cache nor can be had */
export async function makeGuestImage(t: Cleanup): Promise<GuestImage> {
  const { image: kernel } = await ensureKernel(KERNEL_SERIES)
  const initramfs = join(temporaryDirectory(t), 'initramfs')
  writeFileSync(
    initramfs,
    cpio([
      ...['bin', 'dev', 'proc', 'sys'].map((name) => directory(name)),
      file('bin/busybox', readFileSync(BUSYBOX), 0o755),
      file('init', INIT, 0o755),
    ]),
  )
  return { kernel, initramfs }
}
