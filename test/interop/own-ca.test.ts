/** Certificates for users who have no configuration, or only one of the system whose CA is not for them. */
import assert from 'node:assert/strict'
import { randomUUID, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bin } from '../support/swtpm.ts'
import { type Caller, NO_SYSTEM, NOBODY, SOMEBODY, System } from './etc.ts'
import type { Result } from './setup-site.ts'

const OWN_CA = '.config/var/lib/swtpm-localca'
const WAY_OUT = /`swtpm_setup --create-config-files skip-if-exist/
const KEY = `c0${'01'.repeat(255)}`
const TPM = [
  ...['--tpm2', '--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164'],
  ...['--tpm-manufacturer', 'id:00001014', '--tpm-model', 'swtpm', '--tpm-version', 'id:1'],
]

/** As a distribution has it, for a CA that belongs to root. */
const ETC = {
  'swtpm_setup.conf':
    'create_certs_tool = /gone/swtpm_localca\n' +
    'create_certs_tool_config = /etc/swtpm-localca.conf\n' +
    'create_certs_tool_options = /etc/swtpm-localca.options\n',
  'swtpm-localca.conf':
    'statedir = /var/lib/swtpm-localca\n' +
    'signingkey = /var/lib/swtpm-localca/signkey.pem\n' +
    'issuercert = /var/lib/swtpm-localca/issuercert.pem\n',
  'swtpm-localca.options': '--platform-manufacturer system --platform-model m --platform-version 1\n',
}

const somebody = (system: System): Caller => ({ uid: SOMEBODY.id, env: { HOME: system.home } })

/** Makes a TPM with one EK, in a place that belongs to the user. */
function setUp(system: System, caller: Caller, ...args: string[]): Result {
  const state = system.folderOf(0, `state-${randomUUID()}`, 0o777)
  const key = ['--tpm2', '--ek1keyalgo', 'secp384r1']
  return system.run(caller, bin('swtpm_setup'), '--tpmstate', state, ...key, ...args)
}

function localca(system: System, caller: Caller, folder: string, ...args: string[]): Result {
  return system.run(
    caller,
    bin('swtpm_localca'),
    '--type',
    'ek',
    '--ek',
    KEY,
    '--dir',
    folder,
    ...TPM,
    ...args,
  )
}

function succeeded(result: Result): Result {
  assert.equal(result.status, 0, `${result.stderr}${result.stdout}`)
  return result
}

function assertIssued(certificate: string, ca: string): void {
  const issuer = new X509Certificate(readFileSync(join(ca, 'issuercert.pem')))
  assert.ok(new X509Certificate(readFileSync(certificate)).verify(issuer.publicKey))
}

test('without any configuration a user has a CA of their own', { skip: NO_SYSTEM }, (t) => {
  const system = new System(t)
  const ca = join(system.home, OWN_CA)
  const files = ['--write-ek-cert-files', system.home]
  succeeded(setUp(system, somebody(system), '--create-ek-cert', ...files))
  assertIssued(join(system.home, 'ek-secp384r1.crt'), ca)
  assert.equal(statSync(ca).uid, SOMEBODY.id)
  assert.equal(statSync(join(ca, 'signkey.pem')).mode & 0o777, 0o600)

  // A configuration that is written later names the same CA.
  succeeded(system.run(somebody(system), bin('swtpm_setup'), '--create-config-files', 'skip-if-exist'))
  assert.match(
    readFileSync(join(system.home, '.config/swtpm-localca.conf'), 'utf8'),
    new RegExp(`^statedir = ${ca}$`, 'm'),
  )
})

test('eight first callers without a configuration share one CA', { skip: NO_SYSTEM }, async (t) => {
  const system = new System(t)
  const folders = Array.from({ length: 8 }, (_, index) => system.folderOf(SOMEBODY.id, `vm${index}`))
  const codes = await Promise.all(
    folders.map((folder) =>
      system.start(
        somebody(system),
        bin('swtpm_localca'),
        '--type',
        'ek',
        '--ek',
        KEY,
        '--dir',
        folder,
        ...TPM,
      ),
    ),
  )
  assert.deepEqual(
    codes,
    folders.map(() => 0),
  )
  const certificates = folders.map((folder) => join(folder, 'ek.cert'))
  for (const certificate of certificates) assertIssued(certificate, join(system.home, OWN_CA))
  const serials = certificates.map((file) => new X509Certificate(readFileSync(file)).serialNumber)
  assert.equal(new Set(serials).size, folders.length)
})

test('four at once get the same configuration', { skip: NO_SYSTEM }, async (t) => {
  const system = new System(t)
  const run = (): Promise<number | null> =>
    system.start(somebody(system), bin('swtpm_setup'), '--create-config-files', 'skip-if-exist')
  assert.deepEqual(await Promise.all([run(), run(), run(), run()]), [0, 0, 0, 0])
  assert.deepEqual(readdirSync(join(system.home, '.config')).sort(), [
    ...['swtpm-localca.conf', 'swtpm-localca.options', 'swtpm_setup.conf', 'var'],
  ])
})

test('the CA of the system is for those who may use it', { skip: NO_SYSTEM }, (t) => {
  const system = new System(t, ETC)
  const systemCa = join(system.varLib, 'swtpm-localca')
  const byRoot = succeeded(setUp(system, {}, '--create-ek-cert', '--write-ek-cert-files', system.folder))
  assertIssued(join(system.folder, 'ek-secp384r1.crt'), systemCa)
  // The program that the configuration names has gone, as after the removal of a package.
  assert.match(
    byRoot.stdout,
    /^Using ".*\/swtpm_localca": "\/gone\/swtpm_localca", .*swtpm_setup.conf", is not there$/m,
  )

  const before = readdirSync(systemCa).map((name) => readFileSync(join(systemCa, name), 'utf8'))
  const files = ['--write-ek-cert-files', system.home]
  // Nor does it matter that the configuration names the reference's, which knows no CA without a configuration.
  const config = join(system.folder, 'etc/swtpm_setup.conf')
  writeFileSync(config, ETC['swtpm_setup.conf'].replace('/gone/', '/usr/bin/'))
  const { stdout } = succeeded(setUp(system, somebody(system), '--create-ek-cert', ...files))
  assertIssued(join(system.home, 'ek-secp384r1.crt'), join(system.home, OWN_CA))
  assert.match(
    stdout,
    /Using the CA in ".*": cannot use "\/var\/lib\/swtpm-localca" of "\/etc\/swtpm-localca.conf": permission denied/,
  )
  assert.deepEqual(
    readdirSync(systemCa).map((name) => readFileSync(join(systemCa, name), 'utf8')),
    before,
  )

  // A file of the user's own wins over both.
  const [third, own] = [join(system.home, 'third'), join(system.home, '.config/swtpm-localca.conf')]
  writeFileSync(own, `statedir = ${third}\nsigningkey = ${third}/k\nissuercert = ${third}/issuercert.pem\n`)
  const out = system.folderOf(SOMEBODY.id, 'out')
  succeeded(setUp(system, somebody(system), '--create-ek-cert', '--write-ek-cert-files', out))
  assertIssued(join(out, 'ek-secp384r1.crt'), third)
})

test('a configuration that was asked for is used or refused', { skip: NO_SYSTEM }, (t) => {
  const system = new System(t, ETC)
  mkdirSync(join(system.varLib, 'swtpm-localca'), { mode: 0o700 })
  for (const [args, reason] of [
    [
      ['--config', '/etc/swtpm_setup.conf'],
      /"\/var\/lib\/swtpm-localca" of "\/etc\/swtpm-localca.conf": permission/,
    ],
    [['--config', '/none.conf'], /Cannot read config file "\/none.conf": no such file or directory/],
    [['--config', '/etc'], /Cannot read config file "\/etc": illegal operation on a directory/],
  ] as const) {
    const { status, stderr } = setUp(system, somebody(system), '--create-ek-cert', ...args)
    assert.equal(status, 1)
    assert.match(stderr, reason)
    assert.match(stderr, WAY_OUT)
  }
  for (const [args, reason] of [
    [['--configfile', '/etc/swtpm-localca.conf'], /statedir "\/var\/lib\/swtpm-localca": permission denied/],
    [['--configfile', '/none.conf'], /Cannot read config file "\/none.conf": no such file or directory/],
    [['--optsfile', '/none.options'], /Cannot read options file "\/none.options": no such file or directory/],
  ] as const) {
    const { status, stderr } = localca(system, somebody(system), system.home, ...args)
    assert.equal(status, 1)
    assert.match(stderr, reason)
    assert.match(stderr, WAY_OUT)
  }
  assert.ok(!existsSync(join(system.home, '.config')))
})

test('a user without a home has no configuration, and does without', { skip: NO_SYSTEM }, (t) => {
  const system = new System(t, ETC)
  mkdirSync(join(system.varLib, 'swtpm-localca'), { mode: 0o700 })
  const nobody: Caller = { uid: NOBODY }
  const tool = bin('swtpm_setup')
  succeeded(setUp(system, nobody, '--createek'))
  assert.match(succeeded(system.run(nobody, tool, '--print-capabilities')).stdout, /"swtpm_setup"/)
  succeeded(system.run(nobody, tool, '--tpm2', '--print-profiles'))
  for (const { status, stderr } of [
    setUp(system, nobody, '--create-ek-cert'),
    system.run(nobody, tool, '--create-config-files'),
    localca(system, nobody, system.folder),
    // Not what root has.
    setUp(
      system,
      { env: { HOME: join(system.folder, 'root') } },
      '--create-ek-cert',
      '--runas',
      String(NOBODY),
    ),
  ]) {
    assert.equal(status, 1)
    assert.match(stderr, /user with the id 12345 has no home directory.*; set XDG_CONFIG_HOME to a directory/)
  }
  const own: Caller = { ...nobody, env: { XDG_CONFIG_HOME: system.folderOf(NOBODY, 'config') } }
  const out = system.folderOf(NOBODY, 'out')
  succeeded(localca(system, own, out))
  assertIssued(join(out, 'ek.cert'), join(system.folder, 'config/var/lib/swtpm-localca'))
})

test('--runas takes the home of the user', { skip: NO_SYSTEM }, (t) => {
  const system = new System(t)
  const root: Caller = { env: { HOME: join(system.folder, 'root') } }
  const files = ['--write-ek-cert-files', system.home]
  succeeded(setUp(system, root, '--create-ek-cert', '--runas', SOMEBODY.name, ...files))
  assertIssued(join(system.home, 'ek-secp384r1.crt'), join(system.home, OWN_CA))
  assert.deepEqual(readdirSync(join(system.folder, 'root')), [])
})

test('root without a configuration has the CA of the system', { skip: NO_SYSTEM }, (t) => {
  const system = new System(t)
  succeeded(localca(system, {}, system.folder))
  assertIssued(join(system.folder, 'ek.cert'), join(system.varLib, 'swtpm-localca'))
})
