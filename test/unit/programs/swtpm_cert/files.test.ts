/** The files of swtpm_cert: what it says of those that it cannot use, and what it leaves alone. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { linkSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'
import { CERT_OPTIONS } from '../../../../src/programs/swtpm_cert/cert-options.ts'
import { signCertificate, toPem } from '../../../../src/programs/swtpm_cert/certificate.ts'
import { commonName } from '../../../../src/programs/swtpm_cert/distinguished-name.ts'
import { runCert } from '../../../../src/programs/swtpm_cert/run-cert.ts'
import { signerFor, signWith } from '../../../../src/programs/swtpm_cert/signing-key.ts'
import { temporaryFolder } from '../swtpm_setup/fixtures.ts'

const TPM = [
  ...['--tpm2', '--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164'],
  ...['--tpm-manufacturer', 'a', '--tpm-model', 'b', '--tpm-version', 'c'],
]

/** A folder with a CA, and a way to issue a certificate into it with some options changed. */
function site(t: TestContext) {
  const folder = temporaryFolder(t)
  const path = (name: string): string => join(folder, name)
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const
  const name = commonName('ca')
  const content = { serial: 1n, issuer: name, subject: name, publicKey, days: 1, extensions: [] }
  const signer = signerFor(publicKey, signWith(privateKey), { sha1: false })
  writeFileSync(path('key.pem'), privateKey.export(pkcs8))
  writeFileSync(
    path('encrypted.pem'),
    privateKey.export({ ...pkcs8, cipher: 'aes-256-cbc', passphrase: 'x' }),
  )
  writeFileSync(path('cert.pem'), toPem(signCertificate(content, signer)))
  writeFileSync(path('ek.pem'), createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }))
  writeFileSync(path('empty'), '')
  const issue = (changed: Record<string, string> = {}): Promise<number> => {
    const files = {
      signkey: 'key.pem',
      issuercert: 'cert.pem',
      pubkey: 'ek.pem',
      'out-cert': 'out',
      ...changed,
    }
    const args = Object.entries(files).flatMap(([option, file]) => [
      `--${option}`,
      option.endsWith('pwd') ? file : join(folder, file),
    ])
    return runCert(readOptions(CERT_OPTIONS, [...TPM, ...args]))
  }
  return { folder, path, issue }
}

test('what cannot be used is named, with the reason', async (t) => {
  const { path, issue } = site(t)
  symlinkSync('circle', path('circle'))
  const long = 'x'.repeat(300)
  for (const [option, what] of [
    ['signkey', /^Cannot read signing key/],
    ['issuercert', /^Cannot read issuer certificate/],
    ['pubkey', /^Cannot read the public key/],
  ] as const) {
    for (const [file, reason] of [
      ['none', /none": no such file or directory$/],
      ['.', /": illegal operation on a directory$/],
      ['ek.pem/x', /ek.pem\/x": not a directory \(".*ek.pem" is no directory\)$/],
      ['circle', /circle": too many symbolic links encountered/],
      [long, /x": name too long/],
    ] as const) {
      await assert.rejects(
        () => issue({ [option]: file }),
        ({ message }: Error) => what.test(message) && reason.test(message),
      )
    }
  }
  for (const [changed, said] of [
    [{ signkey: 'empty' }, /Cannot load signing key ".*empty": it holds no PEM private key/],
    [
      { signkey: 'encrypted.pem' },
      /encrypted.pem": it is encrypted and no password was given; pass --signkey-pwd/,
    ],
    [{ signkey: 'encrypted.pem', 'signkey-pwd': 'pass:y' }, /encrypted.pem": the password does not open it/],
    [
      { 'signkey-pwd': `file:${path('none')}` },
      /Cannot read the password from ".*none": no such file or directory/,
    ],
    [{ issuercert: 'empty' }, /Cannot load issuer certificate ".*empty": it holds no X.509 certificate/],
    [{ pubkey: 'empty' }, /Cannot load the public key ".*empty": it holds no PEM public key/],
    [{ 'out-cert': 'none/x' }, /Cannot write the certificate to ".*none\/x": no such file or directory/],
    [{ 'out-cert': long }, /Cannot write the certificate to ".*x": name too long/],
    [{ 'out-cert': 'circle' }, /Cannot write the certificate to ".*circle": it is a symbolic link/],
  ] as const) {
    await assert.rejects(() => issue(changed), said)
  }
})

test('a certificate replaces a certificate, but no key and nothing that it is made of', async (t) => {
  const { folder, path, issue } = site(t)
  linkSync(path('cert.pem'), path('same'))
  writeFileSync(path('other.pem'), readFileSync(path('encrypted.pem')))
  const before = readdirSync(folder).map((name) => readFileSync(path(name), 'latin1'))
  for (const [file, reason] of [
    ['key.pem', /the certificate is made from this file; choose another name/],
    ['cert.pem', /the certificate is made from this file/],
    ['same', /the certificate is made from this file/],
    ['ek.pem', /the certificate is made from this file/],
    ['other.pem', /it holds a private key; choose another name/],
  ] as const) {
    await assert.rejects(() => issue({ 'out-cert': file }), reason)
  }
  assert.deepEqual(
    readdirSync(folder).map((name) => readFileSync(path(name), 'latin1')),
    before,
  )
  // As mktemp leaves a file for it, and as it is called again.
  for (const round of [1, 2]) {
    await issue({ 'out-cert': 'empty' })
    assert.equal(new X509Certificate(readFileSync(path('empty'))).issuer, 'CN=ca', `round ${round}`)
  }
})
