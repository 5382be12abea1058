/** `swtpm doctor` on this machine, whatever it is: what it says agrees with what the program then does. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { REMEDIES } from '../../src/system/missing-things.ts'
import { diagnosed, runDoctor } from '../support/doctor.ts'
import { bin, projectRoot, temporaryDirectory } from '../support/swtpm.ts'

const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined

describe('swtpm doctor', () => {
  it('tells of each use, and each thing that is missing has a reason, and nearly each a way out', () => {
    const uses = diagnosed()
    assert.deepEqual(
      uses.map(({ use }) => use),
      ['socket', 'cuse', 'vtpm-proxy', 'services', 'libvirt', 'containers'],
    )
    for (const { works, checks } of uses) {
      assert.equal(
        works,
        checks.every(({ level }) => level !== 'missing'),
      )
      for (const { text, level, mend } of checks) {
        assert.match(text, /^\S.{8,}/)
        assert.doesNotMatch(text, /undefined|\[object|\n/)
        if (level === 'ok') assert.equal(mend, undefined)
      }
    }
  })

  it('says that sockets work, for they do: this is what the other tests use', () => {
    const { status, stdout } = runDoctor(['socket'])
    assert.equal(status, 0)
    assert.match(stdout, /^socket: works/)
    assert.match(stdout, /ok {7}libtpms \d+\.\d+\.\d+: TPM 2\.0/)
    assert.equal(runDoctor([]).status, 0)
  })

  for (const [use, device, args] of [
    ['cuse', '/dev/cuse', ['cuse', '-n', 'doctor-test', '--tpm2']],
    ['vtpm-proxy', '/dev/vtpmx', ['chardev', '--vtpm-proxy', '--tpm2']],
  ] as const)
    it(`says of ${use} what a start says`, {
      skip: existsSync(device) && `${device} is here: test/vm has this`,
    }, (t) => {
      const { status } = runDoctor([use])
      assert.equal(status, 1)
      const [{ checks } = { checks: [] }] = diagnosed(use)
      const found = checks.find(({ id }) => id === 'device')
      assert.equal(found?.level, 'missing')
      const start = spawnSync(bin('swtpm'), [...args, '--tpmstate', `dir=${temporaryDirectory(t)}`], {
        encoding: 'utf8',
      })
      assert.notEqual(start.status, 0)
      // One table has the words of both.
      assert.ok(
        start.stderr.includes(String(found?.mend).replace('sudo ', '')),
        `${start.stderr} has ${found?.mend}`,
      )
    })

  it('finds another swtpm that is first in PATH', (t) => {
    const folder = temporaryDirectory(t)
    writeFileSync(join(folder, 'swtpm'), '#!/bin/sh\n', { mode: 0o755 })
    const path = (...folders: string[]) =>
      diagnosed('socket', {
        PATH: [...folders, dirname(process.execPath), '/bin'].join(':'),
      })[0]?.checks.find(({ id }) => id === 'path')
    assert.match(path(folder)?.text ?? '', new RegExp(`${folder}/swtpm.* in PATH before this program`))
    assert.equal(path(folder)?.mend, `export PATH=${join(projectRoot, 'bin')}:$PATH`)
    assert.equal(path(join(projectRoot, 'bin'))?.level, 'ok')
    const links = join(folder, 'links')
    mkdirSync(links)
    for (const name of ['swtpm', 'swtpm_setup', 'swtpm_ioctl', 'swtpm_bios', 'swtpm_cert', 'swtpm_localca'])
      symlinkSync(bin(name), join(links, name))
    assert.equal(path(links)?.level, 'ok', 'links into it are it')
  })

  it('says what is missing of the program itself', (t) => {
    const folder = temporaryDirectory(t)
    const gone = runDoctor(['socket'], { SWTPM_ENGINE: join(folder, 'no-engine') })
    assert.equal(gone.status, 1)
    assert.match(gone.stdout, /missing {2}Cannot ask ".*no-engine" what it supports: no such file/)
    assert.ok(gone.stdout.includes(REMEDIES.nativeLayer.command))
    const engine = join(folder, 'engine')
    writeFileSync(
      engine,
      '#!/bin/sh\necho "$0: error while loading shared libraries: libtpms.so.0: cannot open shared object file" >&2\nexit 127\n',
      { mode: 0o755 },
    )
    const without = runDoctor(['socket'], { SWTPM_ENGINE: engine })
    assert.equal(without.status, 1)
    assert.ok(
      without.stdout.includes(`→ ${REMEDIES.libtpms.command}`) ||
        without.stdout.includes(`→ sudo ${REMEDIES.libtpms.command}`),
    )
    writeFileSync(join(folder, 'addon.node'), 'no addon')
    assert.match(
      runDoctor(['socket'], { SWTPM_NATIVE: join(folder, 'addon.node') }).stdout,
      /missing {2}Cannot load/,
    )
  })

  it('judges for the user who asks', {
    skip: asNobody === undefined && 'it takes root to become another user',
  }, () => {
    const { status, stdout } = runDoctor(['cuse', 'vtpm-proxy'], {}, asNobody)
    assert.equal(status, 1)
    assert.match(stdout, /swtpm cuse makes its device as root, and this is user /)
    assert.match(stdout, /CAP_SYS_ADMIN/)
  })

  it('explains itself', () => {
    assert.match(runDoctor(['--help']).stdout, /sudo swtpm chardev/)
    const { status, stderr } = runDoctor(['libvrt'])
    assert.equal(status, 1)
    assert.match(stderr, /did you mean "libvirt"/)
  })
})
