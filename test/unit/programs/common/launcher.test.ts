/** The launchers of the programs, and the code caches that they give to V8. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { projectRoot } from '../../../support/swtpm.ts'

const PROGRAMS = ['swtpm', 'swtpm_bios', 'swtpm_cert', 'swtpm_ioctl', 'swtpm_localca', 'swtpm_setup']

/** Tells on descriptor 2 of which file V8 took the cache. */
const OBSERVER = `const vm = require('node:vm')
vm.Script = class extends vm.Script {
  constructor(...args) {
    super(...args)
    const [, part] = args[1].filename.split('.')
    process.stderr.write(part + ' rejected: ' + this.cachedDataRejected + '\\n')
  }
}`

describe('The launcher of a program', () => {
  let folder: string
  let cache: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'swtpm-launch-'))
    writeFileSync(join(folder, 'observer.cjs'), OBSERVER)
    // Beside native/, where the program looks for what belongs to it.
    cpSync(join(projectRoot, 'dist'), join(folder, 'dist'), { recursive: true })
    const name = readdirSync(join(folder, 'dist')).find((file) => /^swtpm\.main\..*cache$/.test(file))
    assert(name !== undefined, 'the build has made no code cache for swtpm')
    cache = join(folder, 'dist', name)
  })
  after(() => rmSync(folder, { recursive: true }))

  const version = (...options: string[]) =>
    spawnSync(
      process.execPath,
      ['-r', join(folder, 'observer.cjs'), ...options, join(folder, 'dist/swtpm.js'), 'socket', '--version'],
      { encoding: 'utf8', env: { ...process.env, SWTPM_NATIVE: nativeAddon } },
    )
  const nativeAddon = join(projectRoot, 'native/build/Release/swtpm_native.node')

  it('has a code cache for every program, and for what is loaded later', () => {
    const caches = readdirSync(join(projectRoot, 'dist')).filter((file) => file.endsWith('.cache'))
    const names = caches.map((file) => file.split('.').slice(0, 2).join('.'))
    assert.deepEqual(names.sort(), [...PROGRAMS.map((name) => `${name}.main`), 'swtpm.later'].sort())
  })

  it('gives V8 a cache that it takes', () => {
    const { status, stdout, stderr } = version()
    assert.deepEqual(
      { status, stderr },
      { status: 0, stderr: 'main rejected: false\nlater rejected: false\n' },
    )
    assert.match(stdout, /^TPM emulator version /)
  })

  it('gives V8 no cache for a file of another version, as there is one in the middle of an upgrade', () => {
    const main = join(folder, 'dist/swtpm.main.js')
    const before = readFileSync(main, 'latin1')
    // As long as before, which is all that V8 looks at.
    const other = before.replace(/[0-9a-f]{16}\n$/, `${'0'.repeat(16)}\n`)
    assert.notEqual(other, before)
    writeFileSync(main, other)
    const { status, stdout, stderr } = version()
    writeFileSync(main, before)
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    assert.match(stdout, /^TPM emulator version /)
  })

  it('runs the program as a module where traces go through source maps', () => {
    const { status, stdout, stderr } = version('--enable-source-maps')
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    assert.match(stdout, /^TPM emulator version /)
  })

  it('runs the program all the same when V8 does not take the cache', () => {
    truncateSync(cache, 1000)
    const { status, stdout, stderr } = version()
    assert.deepEqual(
      { status, stderr },
      { status: 0, stderr: 'main rejected: true\nlater rejected: false\n' },
    )
    assert.match(stdout, /^TPM emulator version /)
  })

  it('runs the program all the same without a cache', () => {
    rmSync(cache)
    const { status, stdout, stderr } = version()
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    assert.match(stdout, /^TPM emulator version /)
  })

  it('says what is missing', () => {
    rmSync(join(folder, 'dist/swtpm.main.js'))
    const { status, stderr } = version()
    assert.equal(status, 1)
    assert.match(stderr, /^Cannot read ".*swtpm\.main\.js": no such file or directory; build it with/)
  })
})
