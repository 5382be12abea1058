/** The certificates that our tools make: the same as the reference's, and each with a number of its own. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bin } from '../support/swtpm.ts'
import { der, setUp, site, TPMS } from './setup-site.ts'

const REFERENCE_CERT = '/usr/bin/swtpm_cert'
const NO_REFERENCE_CERT = existsSync(REFERENCE_CERT)
  ? false
  : `${REFERENCE_CERT} is missing: apt install swtpm-tools`

const RSA_KEY = ['--modulus', `b9${'01'.repeat(255)}`]
const ECC_KEY = [
  ...['--ecc-x', '61eaf811ea582656ca2a835dd1b9cd63eb196d7ff62711d6e9b8f85e580a47ca'],
  ...['--ecc-y', 'a51efdc71fd6c791a24a75beb50526aa81b44cc598e65b2d5e116084aea4cb5b'],
]
const SPEC = ['--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164']
const PLATFORM = [
  ...['--type', 'platform', '--platform-manufacturer', 'Free Software'],
  ...['--platform-model', 'QEMU', '--platform-version', '2.1'],
]

test('first callers of a CA that is not there yet share one CA and no serial number', async (t) => {
  const where = site(t)
  const key = `c0${'01'.repeat(255)}`
  const attributes = ['--tpm-manufacturer', 'id:00001014', '--tpm-model', 'swtpm', '--tpm-version', 'id:1']
  const folders = Array.from({ length: 6 }, (_, index) => join(where.folder, `vm${index}`))
  await Promise.all(
    folders.map(async (folder) => {
      mkdirSync(folder)
      const files = ['--configfile', `${where.folder}/swtpm-localca.conf`, '--optsfile', '/dev/null']
      const args = ['--type', 'ek', '--ek', key, '--dir', folder, '--tpm2', ...files, ...SPEC, ...attributes]
      const child = spawn(bin('swtpm_localca'), args, { stdio: 'ignore' })
      assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0)
    }),
  )
  const certificates = folders.map((folder) => new X509Certificate(readFileSync(join(folder, 'ek.cert'))))
  const issuer = new X509Certificate(readFileSync(join(where.ca, 'issuercert.pem')))
  assert.ok(certificates.every((certificate) => certificate.verify(issuer.publicKey)))
  assert.equal(new Set(certificates.map(({ serialNumber }) => serialNumber)).size, folders.length)
  for (const name of ['signkey.pem', 'swtpm-localca-rootca-privkey.pem']) {
    assert.equal(statSync(join(where.ca, name)).mode & 0o777, 0o600, name)
  }
})

const REFERENCE_LOCALCA = '/usr/bin/swtpm_localca'
const NO_REFERENCE_CA = [REFERENCE_LOCALCA, REFERENCE_CERT, '/usr/bin/certtool'].every(existsSync)
  ? false
  : 'the reference is missing: apt install swtpm-tools gnutls-bin'

test('a CA that either program makes is shared with the other', { skip: NO_REFERENCE_CA }, async (t) => {
  const [ours, theirs] = [bin('swtpm_localca'), REFERENCE_LOCALCA]
  for (const [name, order, serial] of [
    ['ours, theirs, ours', [ours, theirs, ours], undefined],
    ['theirs, ours, theirs', [theirs, ours, theirs], undefined],
    // What the reference writes from 0.9 on is more than its releases before can use.
    ['that of later releases, ours, theirs, ours', [ours, theirs, ours], '98765432109876543210'],
  ] as const) {
    await t.test(name, (t) => {
      const where = site(t)
      mkdirSync(where.ca)
      if (serial !== undefined) writeFileSync(join(where.ca, 'certserial'), serial)
      const serials = order.map((program) => {
        const files = ['--configfile', `${where.folder}/swtpm-localca.conf`, '--optsfile', '/dev/null']
        const key = ['--type', 'ek', '--ek', `c0${'01'.repeat(255)}`, '--dir', where.folder]
        const attributes = [
          '--tpm-manufacturer',
          'id:00001014',
          '--tpm-model',
          'swtpm',
          '--tpm-version',
          'id:1',
        ]
        execFileSync(program, [...key, '--tpm2', ...files, ...SPEC, ...attributes], { stdio: 'pipe' })
        const certificate = new X509Certificate(der(where, 'ek.cert'))
        const issuer = new X509Certificate(readFileSync(join(where.ca, 'issuercert.pem')))
        assert.ok(certificate.verify(issuer.publicKey))
        return certificate.serialNumber
      })
      assert.equal(new Set(serials).size, order.length, serials.join())
    })
  }
})

test('certificates are byte for byte those of the reference', { skip: NO_REFERENCE_CERT }, async (t) => {
  const where = site(t)
  setUp(where, TPMS[0]!, '--tpm2', '--create-ek-cert') // for the CA
  const common = [
    ...['--signkey', `${where.ca}/signkey.pem`, '--issuercert', `${where.ca}/issuercert.pem`, '--days', '-1'],
    ...['--tpm-manufacturer', 'id:00001014', '--tpm-model', 'swtpm', '--tpm-version', 'id:20191023'],
  ]
  const cases: Readonly<Record<string, readonly string[]>> = {
    'TPM 2 EK': ['--tpm2', ...RSA_KEY, ...SPEC, '--subject', 'CN=vm1:uuid'],
    'TPM 2 EK that signs': [
      '--tpm2',
      ...RSA_KEY,
      ...SPEC,
      '--allow-signing',
      '--subject',
      'OU=foo,L=New York,C=US',
    ],
    'TPM 2 EK for both': [
      '--tpm2',
      ...RSA_KEY,
      ...SPEC,
      '--allow-signing',
      '--decryption',
      '--serial',
      '300',
    ],
    'TPM 2 EK with odd characters': ['--tpm2', ...RSA_KEY, ...SPEC, '--subject', 'CN=`ls`&; #12>"*h\u00e4'],
    'TPM 2 ECC EK': ['--tpm2', ...ECC_KEY, ...SPEC, '--subject', 'CN=x'],
    'TPM 2 platform': ['--tpm2', ...RSA_KEY, ...PLATFORM, '--subject', 'CN=x'],
    'TPM 1.2 EK with header': [...RSA_KEY, ...SPEC, '--add-header'],
    'TPM 1.2 platform': [...RSA_KEY, ...PLATFORM],
  }
  for (const [name, args] of Object.entries(cases)) {
    await t.test(name, () => {
      const make = (program: string, file: string): Buffer => {
        execFileSync(program, [...common, ...args, '--out-cert', join(where.folder, file)], { stdio: 'pipe' })
        return der(where, file)
      }
      // The validity begins at the second of the call: a pair that straddles one is made again.
      for (let attempt = 1; ; attempt++) {
        const [ours, theirs] = [make(bin('swtpm_cert'), 'ours'), make(REFERENCE_CERT, 'theirs')]
        if (attempt === 50 || ours.equals(theirs)) {
          assert.deepEqual(ours, theirs)
          break
        }
      }
    })
  }
})
