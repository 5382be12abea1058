/** A guest and its TPM are saved, brought back and moved: PCRs and NV memory go with it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type ControlTpm, type ControlTpmOptions, startControlTpm } from '../support/control-tpm.ts'
import { QemuGuest } from '../support/qemu-guest.ts'
import { type GuestImage, makeGuestImage, withoutQemu } from '../support/qemu-image.ts'
import { type Cleanup, REFERENCE_SWTPM, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2, TPM12 } from '../support/tpm-commands.ts'

const content = Buffer.from('thirty-two bytes that must stay.')

/** What a PCR holds after this number of events. */
function extended(algorithm: 'sha1' | 'sha256', events: number): string {
  let pcr = Buffer.alloc(algorithm === 'sha1' ? 20 : 32)
  for (let event = 1; event <= events; event++) {
    pcr = createHash(algorithm).update(pcr).update(digest(algorithm, event)).digest()
  }
  return pcr.toString('hex')
}
const digest = (algorithm: string, event: number): Buffer =>
  createHash(algorithm).update(`event ${event}`).digest()

/** One TPM version as the guest sees it. */
interface Kind {
  readonly args: readonly string[]
  readonly device: 'tpm-crb' | 'tpm-tis'
  extend(guest: QemuGuest, event: number): Promise<void>
  /** PCR 16. */
  pcr(guest: QemuGuest): Promise<string>
  expected(events: number): string
}

const tpm2: Kind = {
  args: ['--tpm2'],
  device: 'tpm-crb',
  async extend(guest, event) {
    assert.equal(responseCode(await guest.tpm(TPM2.pcrExtend(16, digest('sha256', event)))), 0)
  },
  pcr: async (guest) => (await guest.shell('cat /sys/class/tpm/tpm0/pcr-sha256/16')).trim().toLowerCase(),
  expected: (events) => extended('sha256', events),
}

const tpm12: Kind = {
  args: [],
  device: 'tpm-tis',
  async extend(guest, event) {
    assert.equal(responseCode(await guest.tpm(TPM12.extend(16, digest('sha1', event)))), 0)
  },
  pcr: async (guest) =>
    (await guest.shell('grep PCR-16: /sys/class/tpm/tpm0/pcrs')).replace(/PCR-16:|\s/g, '').toLowerCase(),
  expected: (events) => extended('sha1', events),
}

const nvWrite = async (guest: QemuGuest): Promise<void> => {
  assert.equal(responseCode(await guest.tpm(TPM2.nvDefine())), 0)
  assert.equal(responseCode(await guest.tpm(TPM2.nvWrite(content))), 0)
}
const nvRead = async (guest: QemuGuest): Promise<Buffer> => (await guest.tpm(TPM2.nvRead())).subarray(16, 48)

/** A guest and its TPM, which ends when QEMU lets go of it. */
async function start(
  t: Cleanup,
  { args, device }: Kind,
  image: GuestImage,
  extra: readonly string[],
  options: ControlTpmOptions & { incoming?: string } = {},
): Promise<ControlTpm & { guest: QemuGuest }> {
  const tpm = await startControlTpm(t, [...args, '--terminate', ...extra], options)
  const { controlPath } = tpm
  const incoming = options.incoming === undefined ? {} : { incoming: options.incoming }
  return { ...tpm, guest: await QemuGuest.start(t, { image, controlPath, device, ...incoming }) }
}

const deadline = { timeout: 600_000, skip: withoutQemu }

describe('savevm and loadvm', deadline, () => {
  for (const [name, kind] of [
    ['TPM 2.0', tpm2],
    ['TPM 1.2', tpm12],
  ] as const) {
    it(`bring back the ${name} as it was`, async (t) => {
      const { guest, swtpm } = await start(t, kind, await makeGuestImage(t), [])
      await addSnapshotDisk(guest, join(temporaryDirectory(t), 'disk'))
      await kind.extend(guest, 1)
      if (kind === tpm2) await nvWrite(guest)
      await guest.humanMonitor('savevm before')
      await kind.extend(guest, 2)
      if (kind === tpm2) assert.equal(responseCode(await guest.tpm(TPM2.nvWrite(Buffer.alloc(32, 1)))), 0)
      assert.equal(await kind.pcr(guest), kind.expected(2))

      await guest.humanMonitor('loadvm before')
      assert.equal(await kind.pcr(guest), kind.expected(1))
      if (kind === tpm2) assert.deepEqual(await nvRead(guest), content)
      // It goes on from there.
      await kind.extend(guest, 2)
      assert.equal(await kind.pcr(guest), kind.expected(2))
      await guest.quit()
      assert.equal(await swtpm.exited, 0, swtpm.stderr)
    })
  }
})

describe('a guest saved to a file', deadline, () => {
  it('finds its TPM again on a new swtpm with the same state', async (t) => {
    const image = await makeGuestImage(t)
    const directory = temporaryDirectory(t)
    const file = join(temporaryDirectory(t), 'guest')
    const first = await start(t, tpm2, image, [], { directory })
    await tpm2.extend(first.guest, 1)
    await nvWrite(first.guest)
    await first.guest.monitor('stop')
    await first.guest.migrate(`exec:cat >${file}`)
    await first.guest.quit()
    assert.equal(await first.swtpm.exited, 0, first.swtpm.stderr)

    const second = await start(t, tpm2, image, [], { directory, incoming: `exec:cat ${file}` })
    await second.guest.waitUntilLoaded()
    await second.guest.monitor('cont')
    assert.equal(await tpm2.pcr(second.guest), tpm2.expected(1))
    assert.deepEqual(await nvRead(second.guest), content)
  })
})

describe('a live migration', deadline, () => {
  for (const [name, kind] of [
    ['TPM 2.0', tpm2],
    ['TPM 1.2', tpm12],
  ] as const) {
    it(`moves a ${name} whose state both hosts share`, async (t) => {
      const image = await makeGuestImage(t)
      const directory = temporaryDirectory(t)
      const address = `unix:${temporaryDirectory(t)}/migration`
      const source = await start(t, kind, image, ['--migration', 'release-lock-outgoing'], { directory })
      await kind.extend(source.guest, 1)
      if (kind === tpm2) await nvWrite(source.guest)
      const target = await start(t, kind, image, ['--migration', 'release-lock-outgoing,incoming'], {
        directory,
        incoming: address,
      })
      await source.guest.migrate(address)
      await target.guest.waitUntilRunning()
      assert.equal(await kind.pcr(target.guest), kind.expected(1))
      if (kind === tpm2) {
        assert.deepEqual(await nvRead(target.guest), content)
        assert.equal(responseCode(await target.guest.tpm(TPM2.nvWrite(Buffer.alloc(32, 2)))), 0)
      }
      await kind.extend(target.guest, 2)
      assert.equal(await kind.pcr(target.guest), kind.expected(2))
      await source.guest.quit()
      assert.equal(await source.swtpm.exited, 0, source.swtpm.stderr)
      // The source stored nothing over what the target has.
      if (kind === tpm2) assert.deepEqual(await nvRead(target.guest), Buffer.alloc(32, 2))
      await target.guest.quit()
      assert.equal(await target.swtpm.exited, 0, target.swtpm.stderr)
      assert.equal(source.swtpm.stderr + target.swtpm.stderr, '')
    })
  }

  it('falls back to the source, which takes the state back', async (t) => {
    const image = await makeGuestImage(t)
    const directory = temporaryDirectory(t)
    const source = await start(t, tpm2, image, ['--migration', 'release-lock-outgoing'], { directory })
    await nvWrite(source.guest)
    await tpm2.extend(source.guest, 1)
    await source.guest.migrate('exec:cat >/dev/null')
    await source.guest.monitor('cont')
    await tpm2.extend(source.guest, 2)
    assert.equal(await tpm2.pcr(source.guest), tpm2.expected(2))
    assert.equal(responseCode(await source.guest.tpm(TPM2.nvWrite(Buffer.alloc(32, 3)))), 0)

    // The lock is held again.
    const intruder = new Swtpm([
      ...['socket', '--tpm2', '--flags', 'not-need-init', '--tpmstate', `dir=${directory}`],
      ...['--ctrl', `type=unixio,path=${directory}/control`],
    ])
    t.after(() => intruder.stop('SIGKILL'))
    assert.equal(await intruder.exited, 1)
    assert.match(intruder.stderr, /Cannot lock state directory/)
    await source.guest.quit()
    assert.equal(await source.swtpm.exited, 0, source.swtpm.stderr)
  })

  const withoutReference = existsSync(REFERENCE_SWTPM)
    ? false
    : `${REFERENCE_SWTPM} is missing: apt-get install swtpm`
  const debian = { program: REFERENCE_SWTPM }
  for (const [name, from, to, skip] of [
    ['between hosts that share nothing', {}, {}, false],
    ["from Debian's swtpm to ours", debian, {}, withoutReference],
    ["from ours to Debian's swtpm", {}, debian, withoutReference],
  ] as const) {
    it(`moves an encrypted TPM 2.0 ${name}`, { skip }, async (t) => {
      const image = await makeGuestImage(t)
      const keys = temporaryDirectory(t)
      // The same key for the way; each host has its own for its files.
      const key = (purpose: string, file: string): string[] => {
        writeFileSync(join(keys, file), `passphrase ${file}`)
        return [`--${purpose}`, `pwdfile=${join(keys, file)},mode=aes-256-cbc`]
      }
      const way = key('migration-key', 'way')
      const address = `unix:${keys}/migration`
      const source = await start(t, tpm2, image, [...key('key', 'source'), ...way], from)
      await tpm2.extend(source.guest, 1)
      await nvWrite(source.guest)
      const target = await start(t, tpm2, image, [...key('key', 'target'), ...way], {
        ...to,
        incoming: address,
      })
      await source.guest.migrate(address)
      await target.guest.waitUntilRunning()
      assert.equal(await tpm2.pcr(target.guest), tpm2.expected(1))
      assert.deepEqual(await nvRead(target.guest), content)
      await tpm2.extend(target.guest, 2)
      assert.equal(await tpm2.pcr(target.guest), tpm2.expected(2))
    })
  }
})

/** A disk that can hold snapshots; QEMU makes it itself. */
async function addSnapshotDisk(guest: QemuGuest, path: string): Promise<void> {
  const size = 1 << 20
  const file = { driver: 'file', filename: path }
  await guest.job('blockdev-create', { options: { ...file, size } })
  await guest.monitor('blockdev-add', { ...file, 'node-name': 'file' })
  await guest.job('blockdev-create', { options: { driver: 'qcow2', file: 'file', size } })
  await guest.monitor('blockdev-add', { driver: 'qcow2', file: 'file', 'node-name': 'disk' })
}
