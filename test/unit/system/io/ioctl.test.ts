/** ioctl(2) where the `ioctl` package cannot be loaded: one that was compiled for another version of Node, or not at all. */
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import Module from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ioctl } from '../../../../src/system/io/ioctl.ts'

const work = mkdtempSync(join(tmpdir(), 'swtpm-ioctl-'))
after(() => rmSync(work, { recursive: true, force: true }))

/** How many bytes can be read. @see ioctl_tty(2) */
const FIONREAD = 0x541b
/** Bits 31 and 30 are set, as of all that the kernel reads and writes: VTPM_PROXY_IOC_NEW_DEV. */
const NEW_DEV = 0xc014a100

// Every module is loaded through this.
const loader = Module as unknown as { _load: (name: string, ...rest: unknown[]) => unknown }
const load = loader._load
loader._load = (name, ...rest) => {
  if (name === 'ioctl')
    throw Object.assign(new Error('NODE_MODULE_VERSION 115'), { code: 'ERR_DLOPEN_FAILED' })
  return load.call(loader, name, ...rest)
}

test('the addon answers in its place', () => {
  const file = join(work, 'file')
  writeFileSync(file, 'seven b')
  const fd = openSync(file, 'r')
  const answer = Buffer.alloc(4)
  assert.equal(ioctl(fd, FIONREAD, answer), 0)
  assert.equal(answer.readInt32LE(), 7)
  closeSync(fd)
})

test('errors are those of the package: by name, as of Node', () => {
  const fd = openSync(join(work, 'file'), 'r')
  assert.throws(() => ioctl(fd, NEW_DEV, Buffer.alloc(20)), { code: 'ENOTTY', syscall: 'ioctl' })
  closeSync(fd)
  assert.throws(() => ioctl(-1, NEW_DEV, Buffer.alloc(20)), { code: 'EBADF' })
})
