/** swtpm_setup as a program: what it prints and logs, what it leaves running, the configuration that it makes for a user. */

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { alive } from '../support/processes.ts'
import { bin, temporaryDirectory } from '../support/swtpm.ts'
import { type Result, setUp, setup, site } from './setup-site.ts'

test('capabilities are announced as libvirt reads them', () => {
  const printed = execFileSync(bin('swtpm_setup'), ['--print-capabilities'], { encoding: 'utf8' })
  const capabilities = JSON.parse(printed) as { type: string; features: string[] }
  assert.equal(capabilities.type, 'swtpm_setup')
  for (const feature of ['tpm-1.2', 'tpm-2.0', 'cmdarg-pwdfile-fd', 'cmdarg-reconfigure-pcr-banks']) {
    assert.ok(capabilities.features.includes(feature), feature)
  }
})

test('--quiet prints errors and what was asked for', (t) => {
  const where = site(t)
  const keys = ['--createek', '--ek1keyalgo', 'secp256r1', '--ek2keyalgo', 'secp256r1']
  const { stdout, stderr } = setUp(where, bin('swtpm'), '--tpm2', '--quiet', '--display', ...keys)
  assert.match(stdout, /^PCR banks in use .*\nPersistent keys: 0x8101000a\nNVRAM areas: none\n$/)
  assert.equal(stderr, '')
  const refused = setup(where, bin('swtpm'), ['--tpm2', '--quiet'])
  assert.equal(refused.stdout, '')
  assert.match(refused.stderr, /^Found existing TPM state/)
})

const ONE_CERTIFICATE = [
  '--tpm2',
  '--create-ek-cert',
  '--ek1keyalgo',
  'secp256r1',
  '--ek2keyalgo',
  'secp256r1',
]

test('why there is no certificate is in the log once, and once on standard error', (t) => {
  const where = site(t)
  mkdirSync(where.ca)
  writeFileSync(join(where.ca, 'issuercert.pem'), 'a certificate without its key')
  const log = join(where.folder, 'log')
  const once = (text: string): void =>
    assert.equal(text.match(/Cannot use issuer certificate .*; put the key back/g)?.length, 1, text)
  const failed = setup(where, bin('swtpm'), [...ONE_CERTIFICATE, '--logfile', log])
  assert.equal(failed.status, 1)
  once(failed.stderr)
  once(readFileSync(log, 'utf8'))
  assert.match(readFileSync(log, 'utf8'), /^swtpm_localca exit with status 1$/m)
  once(setup(where, bin('swtpm'), ONE_CERTIFICATE).stderr)
  // Where both lead to one file.
  const both = join(where.folder, 'both')
  const words = [bin('swtpm_setup'), '--tpm-state', where.state, '--config', where.config, ...ONE_CERTIFICATE]
  const args = ['-c', '"$@" 2>>"$0"', both, ...words, '--logfile', both]
  assert.equal(spawnSync('sh', args, { stdio: 'ignore' }).status, 1)
  once(readFileSync(both, 'utf8'))
})

test('what a certificate tool leaves running is not waited for', (t) => {
  const where = site(t)
  const [tool, pid] = [join(where.folder, 'tool'), join(where.folder, 'pid')]
  const folder = 'while [ "$1" != --dir ]; do shift; done'
  writeFileSync(tool, `#!/bin/sh\n${folder}\nsleep 3600 &\necho $! >${pid}\necho x > "$2/ek.cert"\n`, {
    mode: 0o755,
  })
  writeFileSync(where.config, `create_certs_tool = ${tool}\n`)
  setUp(where, bin('swtpm'), ...ONE_CERTIFICATE, '--logfile', join(where.folder, 'log'))
  const left = Number(readFileSync(pid, 'utf8'))
  assert.ok(alive(left))
  process.kill(left)
})

test('a user gets a configuration with a CA of their own, and a TPM from it', (t) => {
  const folder = temporaryDirectory(t)
  const run = (choices: string): Result => {
    const { status, stdout, stderr } = spawnSync(bin('swtpm_setup'), ['--create-config-files', choices], {
      encoding: 'utf8',
      env: { ...process.env, XDG_CONFIG_HOME: folder },
    })
    return { status, stdout, stderr }
  }
  assert.equal(run('root').status, 0)
  assert.deepEqual(readdirSync(folder).sort(), [
    'swtpm-localca.conf',
    'swtpm-localca.options',
    'swtpm_setup.conf',
    'var',
  ])
  assert.match(run('root').stderr, /swtpm_setup\.conf already exists\. Refusing to overwrite\./)
  assert.equal(run('root,skip-if-exist').status, 0)
  assert.equal(run('root,overwrite').status, 0)
  assert.match(run('overwrite,skip-if-exist').stderr, /Cannot use overwrite together with skip-if-exist/)

  const state = join(folder, 'state')
  mkdirSync(state)
  const result = spawnSync(bin('swtpm_setup'), ['--tpm2', '--tpm-state', state, '--create-ek-cert'], {
    encoding: 'utf8',
    env: { ...process.env, XDG_CONFIG_HOME: folder },
  })
  assert.equal(result.status, 0, result.stderr)
  assert.ok(existsSync(join(folder, 'var/lib/swtpm-localca/issuercert.pem')))
})

test('the programs run through a symbolic link, from anywhere', (t) => {
  const folder = temporaryDirectory(t)
  for (const name of ['swtpm_setup', 'swtpm_localca', 'swtpm_cert']) {
    execFileSync('ln', ['-s', bin(name), join(folder, name)])
    assert.match(
      execFileSync(join(folder, name), ['--version'], { cwd: '/', encoding: 'utf8' }),
      /version \d+\.\d+\.\d+/,
    )
    assert.match(execFileSync(join(folder, name), ['--help'], { cwd: '/', encoding: 'utf8' }), /Usage: /)
  }
})
