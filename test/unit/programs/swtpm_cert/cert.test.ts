import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AsnConvert } from '@peculiar/asn1-schema'
import { Name } from '@peculiar/asn1-x509'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'
import { CERT_OPTIONS } from '../../../../src/programs/swtpm_cert/cert-options.ts'
import { signCertificate } from '../../../../src/programs/swtpm_cert/certificate.ts'
import { parseDistinguishedName } from '../../../../src/programs/swtpm_cert/distinguished-name.ts'
import {
  issueCertificate,
  loadAuthority,
  withStoredCertHeader,
} from '../../../../src/programs/swtpm_cert/issue.ts'
import { readPassword } from '../../../../src/programs/swtpm_cert/password.ts'
import { keyPlace } from '../../../../src/programs/swtpm_cert/pkcs11.ts'
import { certificateRequest } from '../../../../src/programs/swtpm_cert/request.ts'
import { signerFor, signWith } from '../../../../src/programs/swtpm_cert/signing-key.ts'
import {
  directoryAltName,
  hardwareModuleAltName,
  tpm12PlatformAltName,
  tpmMakerName,
  tpmSpecificationAttributes,
} from '../../../../src/programs/swtpm_cert/tcg-structures.ts'
import { completeCa } from '../../../../src/programs/swtpm_localca/create-ca.ts'
import { temporaryFolder } from '../swtpm_setup/fixtures.ts'

const hex = (buffer: ArrayBuffer): string => Buffer.from(buffer).toString('hex').toUpperCase()
const name = (text: string): string => hex(AsnConvert.serialize(parseDistinguishedName(text)))
const request = (...argv: string[]) => certificateRequest(readOptions(CERT_OPTIONS, argv))

const TPM = { manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' }
const TPM_ARGS = ['--tpm-manufacturer', 'a', '--tpm-model', 'b', '--tpm-version', 'c']
const SPEC_ARGS = ['--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164']
const KEY_ARGS = ['--modulus', `c0${'01'.repeat(255)}`]

test('the TPM in the alternative name is what certificates of GnuTLS hold', () => {
  assert.equal(
    hex(directoryAltName(tpmMakerName(TPM))),
    '3046A444304231163014060567810502010C0B69643A3030303031303134' +
      '3110300E060567810502020C05737774706D31163014060567810502030C0B69643A3230313931303233',
  )
})

test('the TPM specification keeps its numbers positive', () => {
  assert.equal(
    hex(tpmSpecificationAttributes({ family: '2.0', level: 0, revision: 164 })),
    '3019301706056781050210310E300C0C03322E30020100020200A4',
  )
})

test('a TPM 1.2 platform certificate names TPM and platform in one directory name', () => {
  const text = hex(tpm12PlatformAltName(TPM, { manufacturer: 'Fedora', model: 'QEMU', version: '2.1' }))
  assert.match(text, /^307EA47C307A3042.*30343111300F060567810502040C06/)
})

test('the hardware module name holds the serial number of the TPM', () => {
  assert.match(hex(hardwareModuleAltName('IBM:1')), /06082B06010505070804.*06056781050102040549424D3A31$/)
})

test('names follow RFC 4514: the last part first, escapes, the string type that fits', () => {
  assert.equal(name('OU=x,C=US'), '3019310B3009060355040613025553310A3008060355040B130178')
  assert.equal(name('CN=a\\+b\\2cc'), '3010310E300C06035504031305612B622C63')
  assert.equal(name('cn = h\u00e4 '), '300E310C300A06035504030C0368C3A4')
  assert.equal(name('1.2.3=x'), '300B3109300706022A03130178')
  assert.throws(() => name('FOO=x'), /Cannot read subject part "FOO=x"/)
})

test('passwords come from files, descriptors, the environment or the argument', (t) => {
  const file = join(temporaryFolder(t), 'pwd')
  writeFileSync(file, 'secret')
  process.env.SWTPM_TEST_PASSWORD = 'other'
  t.after(() => delete process.env.SWTPM_TEST_PASSWORD)
  assert.equal(readPassword(`file:${file}`), 'secret')
  assert.equal(readPassword('env:SWTPM_TEST_PASSWORD'), 'other')
  assert.equal(readPassword('pass:file:x'), 'file:x')
  assert.equal(readPassword('plain'), 'plain')
  assert.throws(() => readPassword('fd:x'), /Bad file descriptor "x"/)
  assert.throws(() => readPassword('file:/nowhere'), /Cannot read the password from "\/nowhere"/)
  assert.throws(() => readPassword('env:SWTPM_TEST_NONE'), /no variable "SWTPM_TEST_NONE"/)
})

test('a request says what is missing or wrong', () => {
  const ek = [...TPM_ARGS, ...SPEC_ARGS]
  assert.throws(() => request(...ek), /Missing the public EK/)
  assert.throws(() => request(...KEY_ARGS), /--tpm-manufacturer, --tpm-model and --tpm-version must all/)
  assert.throws(() => request(...KEY_ARGS, ...TPM_ARGS), /--tpm-spec-family, --tpm-spec-level/)
  assert.throws(() => request(...KEY_ARGS, ...TPM_ARGS, '--type', 'platform'), /--platform-manufacturer/)
  assert.throws(
    () => request(...ek, ...KEY_ARGS, '--ecc-x', '01'),
    /RSA modulus together with ECC parameters/,
  )
  assert.throws(() => request(...ek, '--ecc-x', '01'), /one half of the ECC key/)
  assert.throws(() => request(...ek, '--modulus', '012'), /odd number of hex digits \(3\)/)
  assert.throws(() => request(...ek, '--modulus', '0g'), /illegal hex character 'g'/)
  assert.throws(
    () => request(...ek, '--ecc-x', '01', '--ecc-y', '02', '--ecc-curveid', 'p1'),
    /Unsupported ECC curve/,
  )
  assert.throws(
    () => request(...ek, '--ecc-x', '01', '--ecc-y', '02'),
    /point on secp256r1 given make no public key/,
  )
  assert.throws(() => request(...ek, ...KEY_ARGS, '--serial', String(1n << 160n)), /too large/)
  assert.throws(() => request(...ek, ...KEY_ARGS, '--serial', '-1'), /is invalid/)
  assert.throws(() => request(...ek, ...KEY_ARGS, '--days', 'x'), /--days needs an integer, not "x"/)
  assert.throws(() => request(...ek, ...KEY_ARGS, '--type', 'aik'), /Unknown certificate type 'aik'/)
  assert.throws(() => request(...KEY_ARGS, '--type', 'iak'), /pass --tpm-serial-num/)
})

test('a CA of any kind of key signs, and its certificates verify', (t) => {
  const folder = temporaryFolder(t)
  const files = {
    signingKey: join(folder, 'signkey.pem'),
    issuerCert: join(folder, 'issuercert.pem'),
    signingKeyPassword: 'secret',
    rootKeyPassword: undefined,
  }
  completeCa(files)
  assert.throws(() => loadAuthority({ ...files, password: undefined }), /encrypted and no password was given/)
  assert.throws(() => loadAuthority({ ...files, password: 'wrong' }), /the password does not open it/)
  const authority = loadAuthority({ ...files, password: 'secret' })
  const args = [...TPM_ARGS, ...SPEC_ARGS, ...KEY_ARGS, '--days', '10', '--subject', 'CN=x']

  const tpm2 = new X509Certificate(issueCertificate(request(...args, '--tpm2'), authority))
  assert.ok(tpm2.verify(authority.issuer.certificate.publicKey))
  assert.ok(tpm2.checkIssued(authority.issuer.certificate))
  assert.equal(tpm2.subject, 'CN=x')
  assert.equal(Date.parse(tpm2.validTo) - Date.parse(tpm2.validFrom), 10 * 24 * 3600 * 1000)

  const tpm12 = new X509Certificate(issueCertificate(request(...args), authority))
  assert.ok(tpm12.verify(authority.issuer.certificate.publicKey))
  // Node 20 has none, Node 24 an empty one.
  assert.equal(tpm12.subject ?? '', '')

  const root = new X509Certificate(readFileSync(join(folder, 'swtpm-localca-rootca-cert.pem')))
  assert.ok(authority.issuer.certificate.checkIssued(root))
  assert.equal(root.ca, true)

  for (const { privateKey, publicKey } of [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ed25519'),
  ]) {
    const signer = signerFor(publicKey, signWith(privateKey), { sha1: false })
    const content = {
      serial: 1n,
      days: 1,
      issuer: new Name(),
      subject: new Name(),
      publicKey,
      extensions: [],
    }
    assert.ok(new X509Certificate(signCertificate(content, signer)).verify(publicKey))
  }
})

test('a key that does not belong to the certificate is refused', (t) => {
  const folder = temporaryFolder(t)
  const files = (prefix: string) => ({
    signingKey: join(folder, `${prefix}key.pem`),
    issuerCert: join(folder, `${prefix}cert.pem`),
    signingKeyPassword: undefined,
    rootKeyPassword: undefined,
  })
  completeCa(files('a'))
  completeCa(files('b'))
  assert.throws(
    () => loadAuthority({ ...files('a'), issuerCert: files('b').issuerCert, password: undefined }),
    /is not the key of issuer certificate/,
  )
})

test('the header of a stored certificate counts the tag behind it', () => {
  assert.equal(withStoredCertHeader(Buffer.from('abcd', 'hex')).toString('hex'), '10010000041002abcd')
})

test('a PKCS #11 URI loses its PIN and means the private key', () => {
  assert.deepEqual(
    keyPlace('pkcs11:token=t;object=o;type=public?pin-value=a%20b&module-name=m&module-path=/m.so'),
    {
      uri: 'pkcs11:token=t;object=o;type=private',
      pin: 'a b',
      modulePath: '/m.so',
    },
  )
  assert.deepEqual(keyPlace('pkcs11:token=t'), {
    uri: 'pkcs11:token=t',
    pin: undefined,
    modulePath: undefined,
  })
})
