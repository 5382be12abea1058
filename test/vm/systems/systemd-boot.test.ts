/** systemd's TPM at boot: a software TPM for the kernel, whose state lies on the EFI system partition. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DeviceHandle } from '../../support/cuse-tpm.ts'
import { FLAG, parseStateBlob } from '../../support/state-blob.ts'
import { type Cleanup, Swtpm, temporaryDirectory } from '../../support/swtpm.ts'
import { tool } from '../../support/tools.ts'
import { responseCode, TPM2 } from '../../support/tpm-commands.ts'

const content = Buffer.from('thirty-two bytes that must stay.')

/** Its part: writes the key, starts swtpm on it. */
async function boot(t: Cleanup, state: string, key: string, flags: string): Promise<[Swtpm, string]> {
  const keyFile = join(temporaryDirectory(t), 'key')
  writeFileSync(keyFile, key, { mode: 0o400 })
  const swtpm = new Swtpm([
    ...['chardev', '--vtpm-proxy', '--tpm2', `--flags=${flags}`],
    `--key=file=${keyFile},format=hex,mode=aes-cbc,remove=true`,
    `--tpmstate=dir=${state},mode=0600`,
  ])
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => swtpm.stdout.includes('\n'), 'its announcement')
  // A later reader finds no key.
  assert.equal(existsSync(keyFile), false)
  const device = /\/dev\/tpm\d+/.exec(swtpm.stdout)?.[0]
  assert.ok(device !== undefined, swtpm.stdout)
  return [swtpm, device]
}

function command(device: string, bytes: Buffer): Buffer {
  const handle = new DeviceHandle(device)
  try {
    return handle.command(bytes)
  } finally {
    handle.close()
  }
}

const flavours = ['startup-clear', 'startup-clear,disable-auto-shutdown'] as const

async function checkThatStateIsKept(t: Cleanup, state: string, flags: string): Promise<void> {
  const key = randomBytes(16).toString('hex')
  const [first, device] = await boot(t, state, key, flags)
  assert.equal(responseCode(command(device, TPM2.nvDefine())), 0)
  assert.equal(responseCode(command(device, TPM2.nvWrite(content))), 0)
  assert.equal(await first.stop(), 0, first.stderr)
  const [second, again] = await boot(t, state, key, flags)
  assert.deepEqual(command(again, TPM2.nvRead()).subarray(16, 48), content)
  assert.equal(await second.stop(), 0, second.stderr)
  assert.match(first.stderr + second.stderr, /^(swtpm: Serving \S+\n)*$/)
  const blob = parseStateBlob(readFileSync(join(state, 'tpm2-00.permall')))
  assert.equal(blob.flags, FLAG.encrypted, 'aes-cbc is AES-128')
}

describe("systemd's software TPM at boot", () => {
  for (const flags of flavours) {
    it(`keeps its state under a key that is removed: ${flags}`, async (t) => {
      const state = temporaryDirectory(t)
      await checkThatStateIsKept(t, state, flags)
      assert.equal(statSync(join(state, 'tpm2-00.permall')).mode & 0o777, 0o600)
    })
  }

  describe('on a FAT file system', () => {
    for (const options of ['umask=0077', 'umask=0077,quiet']) {
      it(`mounted with ${options}, whose files have no modes of their own`, async (t) => {
        const state = await fatDirectory(t, options)
        await checkThatStateIsKept(t, state, flavours[1])
        assert.deepEqual(
          readdirSync(state).filter((name) => !name.startsWith('.')),
          ['tpm2-00.permall'],
        )
      })
    }
  })
})

/** A directory on a new FAT file system. */
async function fatDirectory(t: Cleanup, options: string): Promise<string> {
  let mountPoint = ''
  // Before the directory is removed; lazily, as after a failure swtpm may still have it open.
  t.after(() => mountPoint && busybox('umount', '-l', mountPoint))
  const directory = temporaryDirectory(t)
  const image = join(directory, 'image')
  mountPoint = join(directory, 'efi')
  writeFileSync(image, '')
  mkdirSync(mountPoint)
  await busybox('truncate', '-s', '8M', image)
  await busybox('mkdosfs', image)
  await busybox('mount', '-t', 'vfat', '-o', `loop,${options}`, image, mountPoint)
  const state = join(mountPoint, 'swtpm')
  mkdirSync(state)
  return state
}

const busybox = (...args: string[]): Promise<string> => tool('/run/guest/busybox', args)
