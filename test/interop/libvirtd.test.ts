/** Debian's libvirt and QEMU: with our programs as they are installed, and between them and Debian's swtpm. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { GuestShell } from '../support/guest-shell.ts'
import { installedTree } from '../support/installed.ts'
import { type Domain, domainXml } from '../support/libvirt/domain.ts'
import { guestShell } from '../support/libvirt/guest.ts'
import { LibvirtHost, withoutLibvirt } from '../support/libvirt/host.ts'
import { makeGuestImage } from '../support/qemu-image.ts'
import { suiteCleanup } from '../support/suite.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const SECRET = { uuid: '5ec4e700-0000-4000-8000-000000000001', value: 'a secret of libvirt' }
/** Where the certificate of an RSA endorsement key is. @see TCG EK Credential Profile, 2.2.1.4 */
const EK_CERTIFICATE = '01c00002'
/** Of the state file's header: the data is encrypted. */
const ENCRYPTED = 0x01

const event = (number: number): Buffer => createHash('sha256').update(`event ${number}`).digest()
/** What PCR 16 is after so many events. */
const pcrAfter = (events: number): Buffer =>
  Array.from({ length: events }, (_, number) => event(number + 1)).reduce(
    (pcr, digest) => createHash('sha256').update(pcr).update(digest).digest(),
    Buffer.alloc(32),
  )
const content = Buffer.from('thirty-two bytes that must stay.')

describe('libvirt', { timeout: 600_000 }, () => {
  const t = suiteCleanup()

  interface Site {
    /** Seen by all hosts, and by QEMU. */
    readonly files: string
    readonly ours: string
    readonly host: LibvirtHost
    readonly main: Domain
  }
  let made: Promise<Site> | undefined
  /** Of the machine "main". QEMU talks to one client at a time, so there is one. */
  let shell: GuestShell
  async function attach(host: LibvirtHost, domain: Domain): Promise<void> {
    shell?.close()
    shell = await guestShell(t, host, domain)
  }

  async function makeSite(): Promise<Site> {
    const files = temporaryDirectory(t)
    chmodSync(files, 0o755)
    const [ours, image] = await Promise.all([installedTree(t), makeGuestImage(t)])
    const guest = { kernel: join(files, 'kernel'), initramfs: join(files, 'initramfs') }
    copyFileSync(image.kernel, guest.kernel)
    copyFileSync(image.initramfs, guest.initramfs)
    const host = await LibvirtHost.start(t, 'first', { layers: [ours] })
    const disk = join(files, 'disk')
    await host.root.run('qemu-img', 'create', '-q', '-f', 'qcow2', disk, '64M')
    await host.defineSecret(SECRET.value, SECRET.uuid)
    const uuid = '00000000-1111-4000-8000-000000000001'
    const main: Domain = { name: 'main', uuid, tpm: '2.0', secret: SECRET.uuid, guest, disk }
    return { files, ours, host, main }
  }

  /** What the tests share; undefined, and the test is skipped, where there can be no libvirt. */
  async function site(context: TestContext): Promise<Site | undefined> {
    const missing = await withoutLibvirt()
    if (missing) return void context.skip(missing)
    made ??= makeSite()
    return made
  }

  const stateDirectory = (host: LibvirtHost, { uuid, tpm }: Domain): string =>
    host.root.path(`/var/lib/libvirt/swtpm/${uuid}/${tpm === '2.0' ? 'tpm2' : 'tpm1.2'}`)
  const setupLog = (host: LibvirtHost, { name }: Domain): string =>
    host.read(`/var/log/swtpm/libvirt/qemu/${name}-swtpm.log`)
  /** The process of the pid file, as the host numbers it; undefined without. */
  function swtpmOf(host: LibvirtHost, { name }: Domain): number | undefined {
    const directory = host.root.path('/run/libvirt/qemu/swtpm')
    const file = readdirSync(directory).find((each) => each.endsWith(`-${name}-swtpm.pid`))
    return file === undefined ? undefined : Number(readFileSync(join(directory, file), 'utf8'))
  }
  /** Processes of a host whose command line has the words. */
  const processes = (host: LibvirtHost, words: string): string[] =>
    readdirSync(host.root.path('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map((name) => {
        try {
          return readFileSync(host.root.path(`/proc/${name}/cmdline`), 'latin1').replaceAll('\0', ' ')
        } catch {
          return ''
        }
      })
      .filter((line) => line.includes(words))
  const noneLeft = (host: LibvirtHost, domain: Domain): Promise<unknown> =>
    waitFor(() => processes(host, domain.uuid).length === 0, { what: 'swtpm and QEMU to end' })

  const pcr16 = async (shell: GuestShell): Promise<Buffer> =>
    (await shell.tpm(TPM2.pcrRead(16))).subarray(-32)
  const extend = async (shell: GuestShell, number: number): Promise<void> =>
    assert.equal(responseCode(await shell.tpm(TPM2.pcrExtend(16, event(number)))), 0)
  const nvContent = async (shell: GuestShell): Promise<Buffer> =>
    (await shell.tpm(TPM2.nvRead())).subarray(16, 48)

  it('makes a TPM with certificates and an encrypted state for a new machine, which finds it', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host, main } = shared
    await host.define(main.name, domainXml(main))
    await host.virsh('start', main.name)
    await attach(host, main)

    assert.match(setupLog(host, main), /Successfully created RSA 2048 EK/)
    const state = join(stateDirectory(host, main), 'tpm2-00.permall')
    const { mode, uid } = statSync(state)
    assert.equal(mode & 0o777, 0o600)
    assert.match(host.read('/etc/passwd'), new RegExp(`^tss:[^:]*:${uid}:`, 'm'))
    assert.ok(readFileSync(state).readUInt16BE(4) & ENCRYPTED)

    await shell.booted()
    assert.equal(await shell.run('cat /sys/class/tpm/tpm0/tpm_version_major'), '2\n')
    assert.equal(responseCode(await shell.tpm(tpm2(0x169, [EK_CERTIFICATE]))), 0)
    await extend(shell, 1)
    assert.equal(responseCode(await shell.tpm(TPM2.nvDefine())), 0)
    assert.equal(responseCode(await shell.tpm(TPM2.nvWrite(content))), 0)
    assert.deepEqual(await pcr16(shell), pcrAfter(1))
  })

  it('saves a machine with its TPM and restores it, twice', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host, main } = shared
    const file = '/var/lib/libvirt/saved'
    await host.virsh('save', main.name, file)
    await noneLeft(host, main)
    await host.virsh('restore', file)
    await attach(host, main)
    assert.deepEqual(await pcr16(shell), pcrAfter(1))
    await extend(shell, 2)

    await host.virsh('managedsave', main.name)
    await noneLeft(host, main)
    await host.virsh('start', main.name)
    await attach(host, main)
    assert.deepEqual(await pcr16(shell), pcrAfter(2))
    assert.deepEqual(await nvContent(shell), content)
  })

  it('goes back to a snapshot with the TPM as it was', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host, main } = shared
    await host.virsh('snapshot-create-as', main.name, 'then')
    await extend(shell, 3)
    assert.equal(responseCode(await shell.tpm(TPM2.nvWrite(Buffer.alloc(32, 1)))), 0)
    await host.virsh('snapshot-revert', main.name, 'then')
    await attach(host, main)
    assert.deepEqual(await pcr16(shell), pcrAfter(2))
    assert.deepEqual(await nvContent(shell), content)
    await host.virsh('snapshot-delete', main.name, 'then')
  })

  it("moves a machine to another host with our swtpm, to one with Debian's, and back", async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host, main, ours } = shared
    const move = async (from: LibvirtHost, to: LibvirtHost): Promise<void> => {
      // QEMU makes it, as its own user.
      const directory = temporaryDirectory(t)
      chmodSync(directory, 0o777)
      const socket = join(directory, 'migration')
      await from.virsh(
        ...['migrate', '--live', '--p2p', '--unsafe', '--persistent', '--undefinesource', main.name, to.uri],
        ...['--migrateuri', `unix://${socket}`],
      )
      await noneLeft(from, main)
    }
    const second = await LibvirtHost.start(t, 'second', { layers: [ours], like: host })
    const debians = await LibvirtHost.start(t, 'debians', { like: host })
    let events = 2
    const journey = [host, second, debians, host]
    for (const [index, to] of journey.slice(1).entries()) {
      if (to !== host) await to.defineSecret(SECRET.value, SECRET.uuid)
      await move(journey[index] as LibvirtHost, to)
      await attach(to, main)
      assert.deepEqual(await pcr16(shell), pcrAfter(events), to.shared)
      assert.deepEqual(await nvContent(shell), content)
      events += 1
      await extend(shell, events)
    }
    // Ours has an engine.
    assert.equal(processes(host, 'tpm-engine').length, 1)
  })

  it('does not start a machine whose secret is another, and leaves its state as it is', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host, main } = shared
    await host.virsh('destroy', main.name)
    await noneLeft(host, main)
    const state = join(stateDirectory(host, main), 'tpm2-00.permall')
    const before = readFileSync(state)
    await host.setSecret(SECRET.uuid, 'another')
    await assert.rejects(host.virsh('start', main.name))
    assert.match(setupLog(host, main), /Cannot decrypt state .*wrong key/i)
    await noneLeft(host, main)
    assert.deepEqual(readFileSync(state), before)
    await host.setSecret(SECRET.uuid, SECRET.value)
  })

  it('keeps or removes the TPM with the machine, as it is told', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host, main } = shared
    await host.virsh('undefine', '--keep-tpm', main.name)
    assert.ok(existsSync(stateDirectory(host, main)))
    const { guest: _, ...withoutGuest } = main
    await host.define(main.name, domainXml(withoutGuest))
    const log = setupLog(host, main)
    await host.virsh('start', main.name)
    // It is the old one.
    assert.doesNotMatch(setupLog(host, main).slice(log.length), /Successfully created RSA 2048 EK/)
    await host.virsh('destroy', main.name)
    await noneLeft(host, main)
    await host.virsh('undefine', main.name)
    assert.ok(!existsSync(stateDirectory(host, main)))
  })

  const tpm12: Domain = { name: 'old', uuid: '00000000-1111-4000-8000-000000000012', tpm: '1.2' }

  it('makes a TPM 1.2 with certificates, saves it and restores it', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host } = shared
    await host.define(tpm12.name, domainXml(tpm12))
    await host.virsh('start', tpm12.name)
    assert.match(setupLog(host, tpm12), /Successfully created NVRAM area for EK certificate/)
    assert.ok(existsSync(join(stateDirectory(host, tpm12), 'tpm-00.permall')))
    await host.virsh('managedsave', tpm12.name)
    await noneLeft(host, tpm12)
    await host.virsh('start', tpm12.name)
    assert.equal((await host.virsh('domstate', tpm12.name)).trim(), 'running')
  })

  it('starts a machine again whose swtpm was killed', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host } = shared
    const pid = swtpmOf(host, tpm12)
    await host.root.run('sh', '-c', `kill -KILL ${pid}`)
    await host.virsh('destroy', tpm12.name)
    await noneLeft(host, tpm12)
    await host.virsh('start', tpm12.name)
    assert.equal((await host.virsh('domstate', tpm12.name)).trim(), 'running')
    await host.virsh('destroy', tpm12.name)
    await noneLeft(host, tpm12)
  })

  it('serves an ordinary user, whose machine has a TPM of the user', async (context) => {
    const shared = await site(context)
    if (shared === undefined) return
    const { host } = shared
    const uid = 12345
    const home = join(shared.files, 'home')
    mkdirSync(home)
    chownSync(home, uid, uid)
    const user = (...command: string[]): Promise<string> =>
      host.root.run(
        ...(['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'env', '-i'] as const),
        ...[`HOME=${home}`, `XDG_RUNTIME_DIR=${home}/run`, 'PATH=/usr/bin:/usr/sbin', 'LANG=C.UTF-8'],
        ...command,
      )
    const virsh = (...args: string[]): Promise<string> =>
      user('virsh', '--quiet', '--connect', 'qemu:///session', ...args)
    await host.root.run(
      'sh',
      '-c',
      `echo user:x:${uid}: >>/etc/group; echo user:x:${uid}:${uid}::${home}:/bin/sh >>/etc/passwd`,
    )
    await user('mkdir', '-m', '700', `${home}/run`)
    const domain: Domain = { name: 'mine', uuid: '00000000-1111-4000-8000-000000000003', tpm: '2.0' }
    await host.define('mine', domainXml(domain))
    await host.virsh('undefine', 'mine')
    await virsh('define', join(host.shared, 'mine.xml'))
    await virsh('start', 'mine')
    const state = join(home, `.config/libvirt/qemu/swtpm/${domain.uuid}/tpm2/tpm2-00.permall`)
    assert.equal(statSync(state).uid, uid)
    await virsh('save', 'mine', join(home, 'saved'))
    await noneLeft(host, domain)
    await virsh('restore', join(home, 'saved'))
    assert.equal((await virsh('domstate', 'mine')).trim(), 'running')
    await virsh('destroy', 'mine')
    await noneLeft(host, domain)
  })
})
