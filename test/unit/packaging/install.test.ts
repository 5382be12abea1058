/** `npm run install:system` and its opposite, into a directory in place of the system's root. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { projectRoot } from '../man/project-root.ts'

const work = mkdtempSync(join(tmpdir(), 'swtpm-install-'))
after(() => rmSync(work, { recursive: true, force: true }))

const script = (...args: string[]) =>
  spawnSync(process.execPath, [join(projectRoot, 'scripts/install.mjs'), ...args], {
    encoding: 'utf8',
    cwd: work,
    env: { ...process.env, NO_COLOR: '1' },
  })

function run(...args: string[]): string {
  const { status, stderr } = script(...args)
  assert.equal(status, 0, stderr)
  return stderr
}

function fails(...args: string[]): string {
  const { status, stderr } = script(...args)
  assert.equal(status, 1, stderr)
  return stderr
}

/** Everything below a directory, with what it is and what it may. */
function tree(root: string): string[] {
  return (readdirSync(root, { recursive: true }) as string[])
    .map((name) => `${name} ${lstatSync(join(root, name)).mode.toString(8)}`)
    .sort()
}

let count = 0
function emptyRoot(): string {
  const root = join(work, `root${count++}`)
  mkdirSync(root)
  return root
}

test('what is installed is in its places, and works without the source tree', () => {
  const root = emptyRoot()
  const umask = process.umask(0o077)
  const output = run(`--destdir=${root}`)
  process.umask(umask)
  for (const name of [
    'usr/local/lib/systemd/system/swtpm-cuse@.service',
    'usr/local/lib/systemd/system/swtpm-vtpm-proxy@.service',
    'usr/local/lib/udev/rules.d/70-swtpm.rules',
    'usr/local/lib/sysusers.d/swtpm.conf',
    'usr/local/lib/tmpfiles.d/swtpm.conf',
    'usr/local/lib/modules-load.d/swtpm.conf',
    'usr/local/share/man/man8/swtpm.8',
    'usr/local/share/man/man3/swtpm_ioctls.3',
    'usr/local/share/bash-completion/completions/swtpm',
    'usr/local/share/zsh/site-functions/_swtpm',
    'etc/swtpm_setup.conf',
    'etc/apparmor.d/usr.local.bin.swtpm',
    'etc/apparmor.d/abstractions/libvirt-qemu.d/swtpm',
  ]) {
    assert.equal(statSync(join(root, name)).mode & 0o777, 0o644, name)
    assert.ok(output.includes(join(root, name)), name)
  }
  assert.equal(statSync(join(root, 'usr/local/lib')).mode & 0o777, 0o755)

  // AppArmor goes by resolved paths, and libvirt's profiles allow the programs in a bin directory alone.
  for (const name of readdirSync(join(root, 'usr/local/bin'))) {
    const { mode, uid } = lstatSync(join(root, 'usr/local/bin', name))
    assert.equal(mode.toString(8), '100755', name)
    assert.equal(uid, process.getuid?.(), name)
  }

  // Without a PATH: the first line of a program names its Node.
  const installed = (name: string, ...args: string[]) =>
    spawnSync(join(root, 'usr/local/bin', name), args, { encoding: 'utf8', cwd: '/', env: {} })
  for (const name of readdirSync(join(root, 'usr/local/bin'))) {
    const { status, stderr } = installed(name, name === 'swtpm_bios' ? '-h' : '--help')
    assert.equal(status, 0, `${name}: ${stderr}`)
  }
  assert.match(installed('swtpm', 'socket', '--print-capabilities').stdout, /"tpm-2.0"/)
  assert.equal(readlinkSync(join(root, 'usr/local/lib/swtpm/node')), realpathSync(process.execPath))
  assert.match(installed('swtpm_cuse', '--version').stdout, /^TPM emulator CUSE interface version/)

  // Nothing but the repository's own files may be needed, so nothing may point there.
  for (const name of readdirSync(root, { recursive: true }) as string[]) {
    const file = join(root, name)
    if (lstatSync(file).isFile() && !/\.node$|engine$/.test(name)) {
      assert.ok(!readFileSync(file, 'utf8').includes(projectRoot), name)
    }
  }
})

test('uninstalling leaves what was there before, and nothing else', () => {
  const root = emptyRoot()
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true })
  writeFileSync(join(root, 'usr/local/bin/other'), '')
  const before = tree(root)
  run(`--destdir=${root}`)
  assert.notDeepEqual(tree(root), before)
  run(`--destdir=${root}`) // once more, as for an update
  run('--uninstall', `--destdir=${root}`)
  assert.deepEqual(tree(root), before)
})

test('an update takes the place of an installation whose programs were links', () => {
  const root = emptyRoot()
  const before = tree(root)
  const lib = join(root, 'usr/local/lib/swtpm')
  mkdirSync(join(lib, 'bin'), { recursive: true })
  mkdirSync(join(root, 'usr/local/bin'))
  writeFileSync(join(lib, 'bin/swtpm'), '')
  symlinkSync('../lib/swtpm/bin/swtpm', join(root, 'usr/local/bin/swtpm'))
  const files = [
    { path: '/usr/local/lib/swtpm/bin/swtpm', kind: 'file', sha256: '' },
    { path: '/usr/local/bin/swtpm', kind: 'link', sha256: '' },
  ]
  const directories = ['/usr', '/usr/local', '/usr/local/bin', '/usr/local/lib', '/usr/local/lib/swtpm']
  writeFileSync(
    join(lib, 'manifest.json'),
    JSON.stringify({ version: 1, files, directories: [...directories, '/usr/local/lib/swtpm/bin'] }),
  )
  run(`--destdir=${root}`)
  assert.ok(lstatSync(join(root, 'usr/local/bin/swtpm')).isFile())
  assert.ok(!existsSync(join(lib, 'bin')))
  run('--uninstall', `--destdir=${root}`)
  assert.deepEqual(tree(root), before)
})

test("configuration is the administrator's", () => {
  const root = emptyRoot()
  const own = join(root, 'etc/swtpm_setup.conf')
  const changed = join(root, 'etc/swtpm-localca.conf')
  mkdirSync(join(root, 'etc'))
  // As a package leaves it behind whose program has gone.
  const text = 'create_certs_tool= /usr/bin/swtpm_localca # of a package\n'
  writeFileSync(own, text)
  const output = run(`--destdir=${root}`)
  assert.match(output, /swtpm_setup\.conf was there already and is left as it is/)
  assert.match(output, /names \/usr\/bin\/swtpm_localca as create_certs_tool, which is not there/)
  assert.match(output, /Write "create_certs_tool = \/usr\/local\/bin\/swtpm_localca" into it/)
  writeFileSync(own, text.replace('/usr/', '/usr/local/'))
  writeFileSync(changed, 'statedir = /srv/ca\n')
  assert.doesNotMatch(run(`--destdir=${root}`), /which is not there/)
  assert.match(
    run('--uninstall', `--destdir=${root}`),
    /swtpm-localca\.conf has been changed and is left for you/,
  )
  assert.deepEqual(
    tree(root).map((line) => line.split(' ')[0]),
    ['etc', 'etc/swtpm-localca.conf', 'etc/swtpm_setup.conf'],
  )
  assert.equal(readFileSync(own, 'utf8'), text.replace('/usr/', '/usr/local/'))
})

test("another program's files are not overwritten", () => {
  const root = emptyRoot()
  mkdirSync(join(root, 'usr/local/share/man/man8'), { recursive: true })
  writeFileSync(join(root, 'usr/local/share/man/man8/swtpm.8'), 'theirs')
  const before = tree(root)
  const output = fails(`--destdir=${root}`)
  assert.match(output, /Cannot install ".*\/swtpm\.8": it is there already/)
  assert.match(output, /What to do: Remove it/)
  assert.deepEqual(tree(root), before)
})

test('an installation that cannot be finished is taken back', () => {
  const root = emptyRoot()
  mkdirSync(join(root, 'usr/local/lib'), { recursive: true })
  // No directory can be made below a file.
  writeFileSync(join(root, 'usr/local/lib/udev'), '')
  const before = tree(root)
  assert.match(fails(`--destdir=${root}`), /Cannot write ".*udev.*": .*; nothing has been changed/)
  assert.deepEqual(tree(root), before)
})

test('an update that cannot be finished leaves the old version', () => {
  const root = emptyRoot()
  run(`--destdir=${root}`)
  const page = join(root, 'usr/local/share/man/man8/swtpm.8')
  writeFileSync(page, 'the old one')
  const rules = join(root, 'usr/local/lib/udev/rules.d')
  rmSync(rules, { recursive: true })
  writeFileSync(rules, '')
  const before = tree(root)
  fails(`--destdir=${root}`)
  assert.deepEqual(tree(root), before)
  assert.equal(readFileSync(page, 'utf8'), 'the old one')
})

test('programs that do not start are taken back', () => {
  const root = emptyRoot()
  const node = join(work, 'node')
  writeFileSync(node, '#!/bin/sh\n[ "$1" = --version ] || { echo "cannot load it" >&2; exit 1; }\n')
  chmodSync(node, 0o755)
  const output = fails(`--destdir=${root}`, `--node=${node}`)
  assert.match(output, /cannot load it/)
  assert.match(output, /What was installed does not work/)
  assert.deepEqual(tree(root), [])
})

test('another prefix: services are where the system looks for them', () => {
  const root = emptyRoot()
  run(`--destdir=${root}`, '--prefix=/opt/swtpm/')
  assert.ok(existsSync(join(root, 'opt/swtpm/bin/swtpm')))
  const unit = readFileSync(join(root, 'etc/systemd/system/swtpm-cuse@.service'), 'utf8')
  assert.match(unit, /^ExecStart=\/opt\/swtpm\/bin\/swtpm cuse /m)
  run('--uninstall', `--destdir=${root}`, '--prefix=/opt/swtpm')
  assert.deepEqual(tree(root), [])
})

test('the AppArmor profile is of the installed program, and of the Node behind the one that is named', () => {
  const root = emptyRoot()
  const node = join(work, 'node-link')
  symlinkSync(process.execPath, node)
  run(`--destdir=${root}`, '--prefix=/usr', `--node=${node}`)
  const profile = readFileSync(join(root, 'etc/apparmor.d/usr.bin.swtpm'), 'utf8')
  // libvirtd and virtqemud may signal libvirt-* alone.
  assert.match(profile, /^profile libvirt-swtpm \/usr\/bin\/swtpm\{,_cuse\} /m)
  assert.ok(profile.includes(`  {${node},${realpathSync(process.execPath)}} rmix,\n`), profile)
  assert.match(profile, /^ {2}\/usr\/lib\/swtpm\/native\/build\/Release\/tpm-engine rmix,$/m)
  assert.match(profile, /^ {2}include if exists <local\/usr\.bin\.swtpm>$/m)
  assert.doesNotMatch(profile, /@(?!\{)\w+@/)
})

test("a profile of another swtpm's is not overwritten", () => {
  const root = emptyRoot()
  mkdirSync(join(root, 'etc/apparmor.d'), { recursive: true })
  writeFileSync(join(root, 'etc/apparmor.d/usr.bin.swtpm'), 'profile swtpm /usr/bin/swtpm {}\n')
  assert.match(fails(`--destdir=${root}`, '--prefix=/usr'), /"[^"]*usr\.bin\.swtpm": it is there already/)
})

test('services can be left out', () => {
  const root = emptyRoot()
  run(`--destdir=${root}`, '--without-services')
  assert.ok(!existsSync(join(root, 'usr/local/lib/systemd')))
  assert.ok(!existsSync(join(root, 'usr/local/lib/udev')))
  assert.ok(!existsSync(join(root, 'etc/apparmor.d')))
})

const mistakes: [args: string[], fault: RegExp][] = [
  [
    ['--uninstall', '--destdir=/nowhere'],
    /Cannot uninstall: there is no "\/nowhere\/usr\/local\/lib\/swtpm\/manifest\.json"/,
  ],
  [['--prefix=here'], /--prefix=here is no absolute path/],
  [['--node=node'], /--node=node is no absolute path/],
  [['--node=/a b/node'], /"\/a b\/node" cannot stand in the first line of a script/],
  [['--nonsense'], /--nonsense/],
]
for (const [args, fault] of mistakes) {
  test(`refused: ${args.join(' ')}`, () => {
    const output = fails(...args)
    assert.match(output, fault)
    assert.match(output, /What to do:/)
  })
}
