/** Keys in a PKCS #11 token, SoftHSM's: by OpenSSL's provider where there is one, else by its engine. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadAuthority } from '../../../../src/programs/swtpm_cert/issue.ts'
import { temporaryFolder } from '../swtpm_setup/fixtures.ts'

const PIN = 'secret 1'

const answers = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0
const HAS_PROVIDER = answers('openssl', 'list', '-providers', '-provider', 'pkcs11')
const HAS_ENGINE = answers('openssl', 'engine', 'pkcs11')
const skip = !answers('softhsm2-util', '--version')
  ? 'softhsm2-util is missing: apt install softhsm2'
  : !HAS_PROVIDER && !HAS_ENGINE
    ? 'openssl reaches no token: apt install pkcs11-provider, or libengine-pkcs11-openssl'
    : false

/** A token with an RSA and an EC key, and a certificate for each. */
function token(t: TestContext) {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'tokens'))
  const configuration = join(folder, 'softhsm2.conf')
  writeFileSync(configuration, `directories.tokendir = ${folder}/tokens\nobjectstore.backend = file\n`)
  const environment = { ...process.env, SOFTHSM2_CONF: configuration }
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: folder, env: environment, stdio: 'pipe' })
  run('softhsm2-util', ...['--init-token', '--free', '--label', 'ca', '--pin', PIN, '--so-pin', 'other'])
  for (const [index, [name, ...algorithm]] of [
    ['rsa', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
    ['ec', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ].entries()) {
    run('openssl', 'genpkey', ...algorithm, '-out', `${name}.pem`)
    run(
      'openssl',
      ...['req', '-x509', '-new', '-key', `${name}.pem`, '-subj', '/CN=CA', '-out', `${name}.crt`],
    )
    const labels = ['--token', 'ca', '--label', name as string, '--id', `0${index + 1}`, '--pin', PIN]
    run('softhsm2-util', '--import', `${name}.pem`, ...labels)
  }
  return { folder, environment }
}

test('keys in a token sign', { skip }, async (t) => {
  const { folder, environment } = token(t)
  const authority = (key: string, pin: string, certificate = key) =>
    loadAuthority({
      signingKey: `pkcs11:token=ca;object=${key}?pin-value=${encodeURIComponent(pin)}`,
      password: undefined,
      issuerCert: join(folder, `${certificate}.crt`),
      environment,
    })
  for (const key of ['rsa', 'ec']) {
    await t.test(key, () => {
      // What comes back was checked against the certificate.
      assert.ok(authority(key, PIN).sign('sha256', Buffer.from('to be signed')).length >= 64)
    })
  }
  await t.test('not with the key of another certificate', () => {
    assert.throws(
      () => authority('ec', PIN, 'rsa').sign('sha256', Buffer.from('x')),
      /Cannot sign with "pkcs11:/,
    )
  })
  for (const [what, key, pin] of [
    ['a wrong PIN', 'rsa', 'wrong'],
    ['a key that is not there', 'none', PIN],
  ] as const) {
    await t.test(`${what} is an error that shows no PIN`, () => {
      assert.throws(
        () => authority(key, pin, 'rsa').sign('sha256', Buffer.from('x')),
        (error: Error) => {
          assert.match(
            error.message,
            /^Cannot sign with "pkcs11:token=ca;object=\w+": openssl dgst with the pkcs11 /,
          )
          assert.ok(!error.message.includes(pin))
          return true
        },
      )
    })
  }
})

test('where openssl has neither, the error says what to install', (t) => {
  const folder = temporaryFolder(t)
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem']
  execFileSync('openssl', ['req', '-x509', ...key, '-subj', '/CN=CA', '-out', 'ca.crt'], {
    cwd: folder,
    stdio: 'pipe',
  })
  assert.ok(readFileSync(join(folder, 'ca.crt')).length > 0)
  const { sign } = loadAuthority({
    signingKey: 'pkcs11:token=ca;object=rsa',
    password: undefined,
    issuerCert: join(folder, 'ca.crt'),
    environment: { ...process.env, OPENSSL_MODULES: folder, OPENSSL_ENGINES: folder },
  })
  assert.throws(
    () => sign('sha256', Buffer.from('x')),
    /neither the provider nor the engine for PKCS #11; install pkcs11-provider \(Debian 12: libengine-pkcs11-openssl\)/,
  )
})
