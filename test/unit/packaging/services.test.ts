/** Units, rules and lists, read by the programs that they are for. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseCommandLine } from '../../../src/command-line/parse/parse-command-line.ts'
import { readOptions } from '../../../src/programs/common/options/read-options.ts'
import { FLEET_OPTIONS } from '../../../src/programs/swtpm/fleet/fleet-options.ts'
import type { Interface } from '../../../src/serve/config.ts'
import { projectRoot } from '../man/project-root.ts'

const work = mkdtempSync(join(tmpdir(), 'swtpm-services-'))
after(() => rmSync(work, { recursive: true, force: true }))

const source = join(projectRoot, 'packaging/systemd')
const names = readdirSync(source).map((name) => name.replace(/\.in$/, ''))

/** As they are installed, but for programs and pages that may not be. */
function writeUnits(): void {
  for (const name of names) {
    const text = readFileSync(join(source, `${name}.in`), 'utf8')
    const program = text.replaceAll('@bindir@', work).replace(/^Documentation=.*\n/m, '')
    writeFileSync(join(work, name), program)
  }
  copyFileSync('/bin/true', join(work, 'swtpm'))
}
writeUnits()

for (const name of names) {
  const unit = readFileSync(join(work, name), 'utf8')

  test(`systemd-analyze verify has nothing to say about ${name}`, () => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', join(work, name)], {
      encoding: 'utf8',
    })
    assert.deepEqual([stdout, stderr, status], ['', '', 0])
  })

  test(`${name} is confined about as well as packaging/README.md says`, () => {
    const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', join(work, name)], {
      encoding: 'utf8',
    })
    const exposure = Number(/Overall exposure level .*: ([\d.]+)/.exec(stdout)?.[1])
    assert.ok(exposure <= 2, stdout)
  })

  test(`${name}: swtpm understands its command line, runs as tss, and tells when it is ready`, () => {
    const options = /^Environment="?SWTPM_OPTIONS=([^"\n]*)/m.exec(unit)![1]!
    const command = /^ExecStart=((?:.*\\\n)*.*)$/m
      .exec(unit)![1]!
      .replaceAll(/\\\n/g, '')
      .replace('$SWTPM_OPTIONS', options)
      .replaceAll('%S', '/var/lib')
      .replaceAll('%t', '/run')
      .replaceAll('%i', 'vtpm0')
    const [, part = '', ...words] = command.split(/ +/).filter(Boolean)
    const runAs = part === 'fleet' ? readFleetOptions(words).text('runas') : runAsOf(part as Interface, words)
    assert.equal(runAs ?? /^User=(.*)$/m.exec(unit)?.[1], 'tss')
    assert.match(unit, /^Type=notify$/m)
  })
}

const readFleetOptions = (words: readonly string[]) =>
  readOptions(FLEET_OPTIONS, words, { refuseStrays: true })

function runAsOf(iface: Interface, words: readonly string[]): string | undefined {
  const parsed = parseCommandLine(words, {}, iface)
  assert.ok(parsed.action === 'run')
  assert.equal(parsed.tpmVersion, '2')
  assert.equal(parsed.daemonize, false)
  return parsed.runAs
}

test("systemd-sysusers makes the user, and systemd-tmpfiles the directory of the user's CA", () => {
  const root = join(work, 'root')
  mkdirSync(join(root, 'etc'), { recursive: true })
  const { status, stderr } = spawnSync(
    'systemd-sysusers',
    [
      `--root=${root}`,
      '--replace=/usr/lib/sysusers.d/swtpm.conf',
      join(projectRoot, 'packaging/sysusers.d/swtpm.conf'),
    ],
    { encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  assert.match(readFileSync(join(root, 'etc/passwd'), 'utf8'), /^tss:x:\d+:\d+:/m)
  assert.match(readFileSync(join(root, 'etc/group'), 'utf8'), /^tss:x:\d+:/m)
  const tmpfiles = join(projectRoot, 'packaging/tmpfiles.d/swtpm.conf')
  const made = spawnSync('systemd-tmpfiles', [`--root=${root}`, '--create', tmpfiles], { encoding: 'utf8' })
  assert.equal(made.status, 0, made.stderr)
  const { mode, uid } = statSync(join(root, 'var/lib/swtpm-localca'))
  assert.equal(mode & 0o777, 0o750)
  assert.equal(uid, Number(/^tss:x:(\d+):/m.exec(readFileSync(join(root, 'etc/passwd'), 'utf8'))?.[1]))
})

test('the modules of both kinds of device are loaded', () => {
  const text = readFileSync(join(projectRoot, 'packaging/modules-load.d/swtpm.conf'), 'utf8')
  assert.deepEqual(
    text.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
    ['cuse', 'tpm_vtpm_proxy'],
  )
})

test('the udev rules are made of matches and assignments that udev knows', () => {
  const text = readFileSync(join(projectRoot, 'udev/70-swtpm.rules'), 'utf8')
  const rules = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  assert.equal(rules.length, 3)
  for (const rule of rules) {
    for (const part of rule.split(', ')) {
      assert.match(part, /^(?:(?:SUBSYSTEM|KERNEL|DEVPATH)==|(?:MODE|OWNER|GROUP)=|TAG\+=)"[^"]+"$/)
    }
  }
})
