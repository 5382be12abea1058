/** Debian's libvirt, confined by its AppArmor profiles as they are, with our programs as they are installed. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Domain, domainXml } from '../../support/libvirt/domain.ts'
import { LibvirtHost } from '../../support/libvirt/host.ts'
import { suiteCleanup } from '../../support/suite.ts'
import { projectRoot, temporaryDirectory } from '../../support/swtpm.ts'
import { tool } from '../../support/tools.ts'
import { waitFor } from '../../support/wait.ts'

/** As scripts/test/installed.mjs makes them. */
const installed = (name: string): string => join(projectRoot, 'build/installed', name)
const domain: Domain = { name: 'd', uuid: '00000000-1111-4000-8000-00000000000a', tpm: '2.0' }

/** What the packages' maintainer scripts do: empty files for the administrator's rules, and the profiles into the kernel. */
const LOAD_PROFILES = `
set -e
cd /etc/apparmor.d
mkdir -p local/abstractions
touch local/usr.sbin.libvirtd local/usr.lib.libvirt.virt-aa-helper local/abstractions/libvirt-qemu
apparmor_parser --replace usr.sbin.libvirtd usr.lib.libvirt.virt-aa-helper "$1"
`

/** The kernel's log of what AppArmor has refused. */
const refused = async (): Promise<string[]> =>
  (await tool('dmesg', [])).split('\n').filter((line) => line.includes('apparmor="DENIED"'))

describe('with AppArmor, libvirt', { timeout: 1_200_000 }, () => {
  const t = suiteCleanup()
  let host: LibvirtHost

  /** Of a process: name and mode. */
  const profileOf = (pid: number | string): string =>
    readFileSync(host.root.path(`/proc/${pid}/attr/current`), 'utf8').trim()
  const pidsOf = async (name: string): Promise<string[]> =>
    (await host.root.run('sh', '-c', `pgrep -x ${name} || true`)).split('\n').filter(Boolean)

  async function startDomain(): Promise<void> {
    // There is a state directory, so libvirt has no new TPM made, which takes minutes on this processor.
    const state = `/var/lib/libvirt/swtpm/${domain.uuid}`
    await host.root.run(
      'sh',
      '-c',
      `mkdir -p -m 711 ${state} && install -d -o tss -g tss -m 700 ${state}/tpm2`,
    )
    await host.virsh('start', domain.name)
  }

  async function destroyDomain(): Promise<void> {
    await host.virsh('destroy', domain.name)
    const gone = async (): Promise<boolean> =>
      (await Promise.all(['swtpm', 'tpm-engine'].map(pidsOf))).flat().length === 0
    await waitFor(gone, { what: 'swtpm to end' })
  }

  it('starts a machine with a TPM and ends it, twice', async () => {
    const parameter = '/sys/module/apparmor/parameters/enabled'
    assert.equal(readFileSync(parameter, 'utf8').trim(), 'Y')
    host = await LibvirtHost.start(t, 'confined', {
      layers: [installed('usr')],
      qemuConf: ['security_driver = "apparmor"'],
      prepare: LOAD_PROFILES.replace('"$1"', 'usr.bin.swtpm'),
    })
    const [libvirtd = ''] = await pidsOf('libvirtd')
    assert.equal(profileOf(libvirtd), 'libvirtd (enforce)')
    await host.define(domain.name, domainXml(domain))
    for (const _ of [1, 2]) {
      await startDomain()
      const [keeper = ''] = await pidsOf('swtpm')
      const [engine = ''] = await pidsOf('tpm-engine')
      const children = (await host.root.run('pgrep', '-P', keeper)).trim().split('\n')
      assert.ok(children.includes(engine))
      // Node, too, unless it is at rest.
      for (const pid of [keeper, ...children]) assert.equal(profileOf(pid), 'libvirt-swtpm (enforce)', pid)
      const [qemu = ''] = await pidsOf('qemu-system-x86')
      assert.equal(profileOf(qemu), `libvirt-${domain.uuid} (enforce)`)
      await destroyDomain()
    }
    assert.deepEqual(await refused(), [])
  })

  it('can end a swtpm that does not answer', async () => {
    await startDomain()
    const [pid = ''] = await pidsOf('swtpm')
    // As libvirtd does when its patience ends.
    await host.root.run('aa-exec', '-p', 'libvirtd', '--', 'sh', '-c', `kill -KILL ${pid}`)
    await destroyDomain()
    assert.deepEqual(await refused(), [])
  })

  it('is not in the way of those who start a TPM by hand', async () => {
    const { root } = host
    const directory = temporaryDirectory(t)
    const here = (name: string): string => join(directory, name)
    await root.run('install', '-d', '-o', 'tss', '-g', 'tss', '-m', '2770', '/var/lib/swtpm/a')
    for (const words of [
      ['cuse', '--name', 'vtpm0', '--tpmstate', `dir=${directory}`],
      ['chardev', '--vtpm-proxy', '--daemon', '--tpmstate', 'dir=/var/lib/swtpm/a', '--runas', 'tss'],
      ['socket', '--daemon', '--tpmstate', `backend-uri=file://${here('linear')}`, '--server', 'port=2321'],
    ]) {
      const [, rest] = [words[0], words.slice(1)]
      const pidFile = here(`${words[0]}.pid`)
      chmodSync(directory, 0o777)
      const common = ['--tpm2', '--pid', `file=${pidFile}`, '--log', `file=${here(`${words[0]}.log`)}`]
      await root.run('swtpm', words[0] as string, ...rest, ...common)
      const pid = readFileSync(pidFile, 'utf8').trim()
      assert.equal(profileOf(pid), 'libvirt-swtpm (enforce)')
      await root.run('kill', pid)
      await waitFor(() => !existsSync(root.path(`/proc/${pid}`)), { what: `${words[0]} to end` })
    }
    assert.deepEqual(await refused(), [])
  })

  async function stopLibvirt(): Promise<void> {
    await host.root.run('sh', '-c', 'kill $(pgrep -x libvirtd)')
    await waitFor(async () => (await pidsOf('libvirtd')).length === 0, { what: 'libvirtd to end' })
  }

  /** Starts a machine whose TPM is this program, confined. */
  async function assertServes(program: string): Promise<void> {
    await startDomain()
    const [pid = ''] = await pidsOf('swtpm')
    assert.equal((await host.root.run('readlink', `/proc/${pid}/exe`)).trim(), program)
    assert.equal(profileOf(pid), 'libvirt-swtpm (enforce)')
    await destroyDomain()
    assert.deepEqual(await refused(), [])
  }

  const profiles = (): string => readFileSync('/sys/kernel/security/apparmor/profiles', 'utf8')

  it('starts machines with an installation in /usr/local, with the rules that the installer names', async () => {
    const scripts = join(projectRoot, 'scripts/install')
    const { layout } = await import(pathToFileURL(join(scripts, 'layout.mjs')).href)
    const { libvirtObstacle } = await import(pathToFileURL(join(scripts, 'libvirt.mjs')).href)
    const { root } = host
    await stopLibvirt()
    assert.match(profiles(), /^libvirt-swtpm /m)
    await root.run(process.execPath, join(projectRoot, 'scripts/install.mjs'), '--uninstall', '--prefix=/usr')
    assert.doesNotMatch(profiles(), /^libvirt-swtpm /m)
    assert.ok(!existsSync(root.path('/etc/apparmor.d/usr.bin.swtpm')))

    await root.run('cp', '-a', `${installed('local')}/usr/local/.`, '/usr/local')
    await root.run('cp', `${installed('local')}/etc/apparmor.d/usr.local.bin.swtpm`, '/etc/apparmor.d')
    await root.run('apparmor_parser', '--replace', '/etc/apparmor.d/usr.local.bin.swtpm')
    const text: string = libvirtObstacle(layout('/usr/local'), { root: root.path('/'), appArmor: true })
    await root.run('sh', '-ec', text.slice(text.indexOf('\n  ')))
    await host.startDaemon()
    await assertServes('/usr/local/bin/swtpm')
  })

  it('starts machines with the Debian package, whose profile goes with it', async () => {
    const { root } = host
    await stopLibvirt()
    const script = join(projectRoot, 'scripts/install.mjs')
    await root.run(process.execPath, script, '--uninstall', '--prefix=/usr/local')
    const folder = installed('deb')
    const [file = ''] = readdirSync(folder)
    // This machine's Node need not be Debian's.
    const dpkg = ['dpkg', '--force-depends', '--force-confnew', '--force-unsafe-io']
    await root.run(...(dpkg as [string]), '--install', join(folder, file))
    assert.match(profiles(), /^libvirt-swtpm /m)
    await host.startDaemon()
    await assertServes('/usr/bin/swtpm')
    await root.run(...(dpkg as [string]), '--remove', 'swtpm-node')
    assert.doesNotMatch(profiles(), /^libvirt-swtpm /m)
  })
})
