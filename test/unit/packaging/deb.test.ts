/** `npm run package:deb`, read by dpkg; scripts/distros/try-deb.sh installs it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { projectRoot } from '../man/project-root.ts'

const work = mkdtempSync(join(tmpdir(), 'swtpm-deb-'))
after(() => rmSync(work, { recursive: true, force: true }))
const missing = ['dpkg-shlibdeps', 'dpkg-deb', 'strip'].filter(
  (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status !== 0,
)
const skip = missing.length > 0 ? `needs ${missing.join(' and ')} (Debian: apt install dpkg-dev)` : false

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    cwd: work,
    env: {
      ...process.env,
      DEBFULLNAME: 'A Packager',
      DEBEMAIL: 'packager@example.org',
      SOURCE_DATE_EPOCH: '1700000000',
    },
  })
  assert.equal(status, 0, stderr)
  return stdout
}

test('the Debian package', { skip }, async (t) => {
  const umask = process.umask(0o077)
  run(process.execPath, join(projectRoot, 'scripts/package/deb.mjs'), `--out=${work}`)
  process.umask(umask)
  const [file = ''] = readdirSync(work).filter((name) => name.endsWith('.deb'))
  const root = join(work, 'root')
  run('dpkg-deb', '--raw-extract', file, root)
  const field = (name: string) => run('dpkg-deb', '--field', file, name).trim()

  await t.test('stands in the place of the C program', () => {
    assert.match(file, /^swtpm-node_[\d.]+-1_\w+\.deb$/)
    assert.match(field('Provides'), /^swtpm \(= [\d.]+\), swtpm-tools \(= [\d.]+\)$/)
    assert.equal(field('Conflicts'), 'swtpm, swtpm-tools')
    assert.equal(field('Replaces'), 'swtpm, swtpm-tools')
    assert.equal(field('Maintainer'), 'A Packager <packager@example.org>')
  })

  await t.test('depends on Node and on what its programs are linked with', () => {
    for (const name of [/nodejs \(>= 20\)/, /libtpms0 \(>=/, /libseccomp2/, /libssl3/, /libc6/])
      assert.match(field('Depends'), name)
  })

  await t.test('can be read by everybody, and has nothing that fits one Node', () => {
    for (const name of readdirSync(root, { recursive: true }) as string[]) {
      const status = lstatSync(join(root, name))
      if (!status.isSymbolicLink())
        assert.equal(status.mode & 0o044, status.isDirectory() ? 0o044 : 0o044, name)
      assert.doesNotMatch(name, /node_modules/)
    }
    assert.equal(readlinkSync(join(root, 'usr/lib/swtpm/node')), '../../bin/node')
  })

  await t.test('lists its configuration files, and the sums of the others', () => {
    const conffiles = readFileSync(join(root, 'DEBIAN/conffiles'), 'utf8').trim().split('\n')
    assert.ok(conffiles.includes('/etc/swtpm_setup.conf'))
    assert.ok(conffiles.includes('/etc/apparmor.d/usr.bin.swtpm'))
    assert.doesNotMatch(readFileSync(join(root, 'DEBIAN/md5sums'), 'utf8'), / etc\//)
    spawnSync('md5sum', ['--check', '--quiet', 'DEBIAN/md5sums'], { cwd: root })
    for (const name of ['postinst', 'prerm', 'postrm'])
      assert.equal(spawnSync('sh', ['-n', join(root, 'DEBIAN', name)]).status, 0, name)
  })

  await t.test('works from where it is unpacked', () => {
    const { status, stdout, stderr } = spawnSync(join(root, 'usr/bin/swtpm'), ['--version'], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /for Node\.js/)
  })
})
