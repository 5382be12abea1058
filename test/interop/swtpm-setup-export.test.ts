/** swtpm_setup --write-ek-cert-files with a TPM that exists: its keys and certificates, and nothing of it changes. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bin } from '../support/swtpm.ts'
import { assertRefused, contentOf, der, exportFolder, setUp, setup, site } from './setup-site.ts'

const OURS = bin('swtpm')
/** Quick ones. */
const KEYS = ['--ek1keyalgo', 'secp256r1', '--ek2keyalgo', 'secp256r1']
const CERTIFICATES = ['--tpm2', '--create-ek-cert', '--create-platform-cert', ...KEYS]

test('keys and certificates of an encrypted TPM are read with its key, and nothing changes', (t) => {
  const where = site(t)
  const password = join(where.folder, 'password')
  writeFileSync(password, 'correct horse')
  const key = ['--pwdfile', password, '--cipher', 'aes-256-cbc']
  const devices = ['--iakkeyalgo', 'secp384r1', '--idevidkeyalgo', 'secp256r1']
  setUp(where, OURS, ...CERTIFICATES, ...devices, ...key, '--write-ek-cert-files', where.folder)
  const before = contentOf(where.state)
  const folder = exportFolder(where)
  assertRefused(setup(where, OURS, ['--tpm2', '--write-ek-cert-files', folder]), /Could not start the TPM/)
  setUp(where, OURS, '--tpm2', '--write-ek-cert-files', folder, ...key)
  for (const name of ['ek-secp256r1', 'iak-secp384r1', 'idevid-secp256r1']) {
    assert.deepEqual(readFileSync(join(folder, `${name}.crt`)), der(where, `${name}.crt`))
    assert.match(readFileSync(join(folder, `${name}.pub`), 'utf8'), /^-----BEGIN PUBLIC KEY-----/)
  }
  assert.equal(readdirSync(folder).length, 7)
  assert.deepEqual(contentOf(where.state), before)
  // Again: what is there is the same, and stays.
  setUp(where, OURS, '--tpm2', '--write-ek-cert-files', folder, ...key)
})

test('a TPM 1.2 gives its certificates, locked or not, with its owner or without one', (t) => {
  const where = site(t)
  for (const [number, args] of [[], ['--lock-nvram'], ['--take-ownership', '--lock-nvram']].entries()) {
    setUp(where, OURS, '--create-ek-cert', '--overwrite', ...args, '--write-ek-cert-files', where.folder)
    const before = contentOf(where.state)
    const folder = exportFolder(where, `exported${number}`)
    setUp(where, OURS, '--write-ek-cert-files', folder)
    assert.deepEqual(readdirSync(folder), ['ek-rsa2048.crt', 'ek-rsa2048.pub'])
    assert.deepEqual(readFileSync(join(folder, 'ek-rsa2048.crt')), der(where, 'ek-rsa2048.crt'))
    assert.deepEqual(contentOf(where.state), before)
  }
  const wrong = ['--write-ek-cert-files', where.folder, '--ownerpass', 'wrong']
  assertRefused(
    setup(where, OURS, wrong),
    /the owner of the TPM has another password; pass it with --ownerpass/,
  )
})

test('a TPM without keys has nothing to be written', (t) => {
  const where = site(t)
  for (const version of [['--tpm2'], []]) {
    setUp(where, OURS, ...version, '--overwrite')
    const result = setup(where, OURS, [
      ...version,
      '--write-ek-cert-files',
      exportFolder(where, `e${version}`),
    ])
    assert.equal(
      setup(where, OURS, [...version, '--not-overwrite', '--write-ek-cert-files', where.folder]).status,
      0,
    )
    assertRefused(result, /^Found neither endorsement keys nor certificates in the TPM at /m)
  }
})
