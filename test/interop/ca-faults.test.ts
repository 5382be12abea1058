/** What swtpm_localca says when its files cannot be used, in the log and on standard error, and that it leaves them alone. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { signCertificate, toPem } from '../../src/programs/swtpm_cert/certificate.ts'
import { commonName } from '../../src/programs/swtpm_cert/distinguished-name.ts'
import { signerFor, signWith } from '../../src/programs/swtpm_cert/signing-key.ts'
import { completeCa } from '../../src/programs/swtpm_localca/create-ca.ts'
import { bin } from '../support/swtpm.ts'
import { type Caller, NO_SYSTEM, NOBODY, System } from './etc.ts'
import type { Result } from './setup-site.ts'

const TPM = [
  ...['--type', 'ek', '--ek', `c0${'01'.repeat(255)}`, '--tpm2', '--tpm-spec-family', '2.0'],
  ...['--tpm-spec-level', '0', '--tpm-spec-revision', '164', '--tpm-manufacturer', 'id:00001014'],
  ...['--tpm-model', 'swtpm', '--tpm-version', 'id:1'],
]
const PASSWORD = 'secret'

/** A CA of a user without rights, who is not root, since for root few things are forbidden. */
class Ca {
  readonly system: System
  readonly folder: string
  readonly out: string
  readonly settings: Record<string, string>

  constructor(t: TestContext, filled = true) {
    this.system = new System(t)
    this.folder = this.system.folderOf(NOBODY, 'ca', 0o750)
    this.out = this.system.folderOf(NOBODY, 'out')
    if (filled) cpSync(model, this.folder, { recursive: true })
    for (const name of readdirSync(this.folder)) chownSync(this.path(name), NOBODY, NOBODY)
    this.settings = {
      statedir: this.folder,
      signingkey: this.path('signkey.pem'),
      signingkey_password: PASSWORD,
      issuercert: this.path('issuercert.pem'),
    }
  }

  path = (name: string): string => join(this.folder, name)

  set(settings: Readonly<Record<string, string>>): void {
    Object.assign(this.settings, settings)
  }

  /** The command line that issues a certificate. */
  command(...args: string[]): [string, ...string[]] {
    const config = join(this.system.folder, 'ca.conf')
    const lines = Object.entries(this.settings).map(([name, value]) => `${name} = ${value}\n`)
    writeFileSync(config, lines.join(''))
    const files = ['--configfile', config, '--optsfile', '/dev/null', '--dir', this.out]
    return [bin('swtpm_localca'), ...TPM, ...files, ...args]
  }

  issue(caller: Caller = { uid: NOBODY }, ...args: string[]): Result {
    return this.system.run(caller, ...this.command(...args))
  }

  /** What must not change. */
  contents(): Record<string, string> {
    const files = readdirSync(this.folder).filter(
      (name) => name.endsWith('.pem') && lstatSync(this.path(name)).isFile(),
    )
    return Object.fromEntries(files.map((name) => [name, readFileSync(this.path(name), 'latin1')]))
  }
}

/** A complete CA to make copies of: making one takes seconds. */
const model = mkdtempSync(join(tmpdir(), 'swtpm-model-ca.'))
after(() => rmSync(model, { recursive: true }))
const [signingKey, issuerCert] = ['signkey.pem', 'issuercert.pem'].map((name) => join(model, name)) as [
  string,
  string,
]
completeCa({ signingKey, issuerCert, signingKeyPassword: PASSWORD, rootKeyPassword: undefined })

/** How a CA is spoiled, what is said of it, and what root does in its namespace before. */
const FAULTS: readonly (readonly [
  name: string,
  spoil: (ca: Ca) => void,
  said: RegExp,
  before?: (ca: Ca) => string,
])[] = [
  [
    'a state directory that may not be written',
    (ca) => chmodSync(ca.folder, 0o500),
    /read and write in statedir ".*\/ca": permission denied \(user with the id 12345.*\); name another one in ".*ca.conf"/,
  ],
  [
    'a state directory of another user',
    (ca) => chownSync(ca.folder, 0, 0),
    /read and write in statedir ".*\/ca": permission denied/,
  ],
  [
    'a state directory that cannot be made',
    (ca) => ca.set({ statedir: '/usr/ca' }),
    /Cannot make directory "\/usr\/ca" for statedir: permission denied \(.* may not write in "\/usr"\); name another/,
  ],
  [
    'a state directory below a file',
    (ca) => ca.set({ statedir: '/etc/passwd/ca' }),
    /Cannot make directory "\/etc\/passwd\/ca" for statedir: not a directory \("\/etc\/passwd" is no directory\)/,
  ],
  [
    'a state directory that is a file',
    (ca) => ca.set({ statedir: '/etc/passwd' }),
    /Cannot make directory "\/etc\/passwd" for statedir: file already exists/,
  ],
  [
    'a name that is too long',
    (ca) => ca.set({ statedir: ca.path('x'.repeat(300)) }),
    /Cannot make directory ".*x" for statedir: name too long/,
  ],
  [
    'links in a circle',
    (ca) => {
      symlinkSync('circle', ca.path('circle'))
      ca.settings.statedir = ca.path('circle/x')
    },
    /Cannot make directory ".*circle\/x" for statedir: too many symbolic links/,
  ],
  [
    'a file system that is read-only',
    () => {},
    /read and write in statedir ".*\/ca": read-only file system; name another/,
    ({ folder }) => `mount --bind ${folder} ${folder} && mount -o remount,bind,ro ${folder}`,
  ],
  [
    'a lock file of another user',
    (ca) => {
      writeFileSync(ca.path('.lock.swtpm-localca'), '')
      chmodSync(ca.path('.lock.swtpm-localca'), 0o600)
    },
    /Cannot open lock file ".*": permission denied \(user with the id 12345\); all users of a CA need to/,
  ],
  [
    'a lock file that is a directory',
    (ca) => mkdirSync(ca.path('.lock.swtpm-localca')),
    /Cannot open lock file ".*": illegal operation on a directory/,
  ],
  [
    'a key that may not be read',
    (ca) => chownSync(ca.path('signkey.pem'), 0, 0),
    /Cannot read signing key ".*signkey.pem": permission denied \(user with the id 12345\)/,
  ],
  [
    'a key that is a directory',
    (ca) => {
      renameSync(ca.path('signkey.pem'), ca.path('other.pem'))
      mkdirSync(ca.path('signkey.pem'))
    },
    /Cannot read signing key ".*signkey.pem": illegal operation on a directory/,
  ],
  [
    'a key behind a link that leads nowhere',
    (ca) => {
      renameSync(ca.path('signkey.pem'), ca.path('other.pem'))
      symlinkSync('nowhere', ca.path('signkey.pem'))
    },
    /Cannot read signing key ".*signkey.pem": no such file or directory/,
  ],
  [
    'no password for the key',
    (ca) => ca.set({ signingkey_password: '' }),
    /Cannot load signing key ".*": it is encrypted and no password was given; signingkey_password in ".*ca.conf"/,
  ],
  [
    'a wrong password for the key',
    (ca) => ca.set({ signingkey_password: 'wrong' }),
    /Cannot load signing key ".*": the password does not open it; signingkey_password in ".*ca.conf"/,
  ],
  [
    'a key that is empty',
    (ca) => writeFileSync(ca.path('signkey.pem'), ''),
    /Cannot load signing key ".*signkey.pem": it holds no PEM private key/,
  ],
  [
    'a key that is damaged',
    (ca) => {
      const { privateKey } = generateKeyPairSync('ed25519')
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
      writeFileSync(ca.path('signkey.pem'), pem.replace(/\n[A-Za-z0-9+/]{8}/, '\nAAAAAAAA'))
    },
    /Cannot load signing key ".*signkey.pem": its private key is damaged/,
  ],
  [
    'a certificate that is damaged',
    (ca) => {
      const pem = readFileSync(ca.path('issuercert.pem'), 'utf8')
      writeFileSync(ca.path('issuercert.pem'), pem.replace(/\n[A-Za-z0-9+/]{8}/, '\nAAAAAAAA'))
    },
    /Cannot load issuer certificate ".*issuercert.pem": it is damaged/,
  ],
  [
    'something that is no certificate',
    (ca) => writeFileSync(ca.path('issuercert.pem'), 'x'),
    /Cannot load issuer certificate ".*issuercert.pem": it holds no X.509 certificate/,
  ],
  [
    'a certificate of another key',
    (ca) => ca.set({ issuercert: ca.path('swtpm-localca-rootca-cert.pem') }),
    /Cannot sign with ".*signkey.pem": it is not the key of issuer certificate ".*rootca-cert.pem"/,
  ],
  [
    'a certificate that has expired',
    (ca) => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519')
      const name = commonName('expired')
      const content = { serial: 1n, issuer: name, subject: name, publicKey, days: 0, extensions: [] }
      const signer = signerFor(publicKey, signWith(privateKey), { sha1: false })
      writeFileSync(ca.path('signkey.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
      writeFileSync(ca.path('issuercert.pem'), toPem(signCertificate(content, signer)))
    },
    /Cannot issue certificates with ".*issuercert.pem": it expired on .* GMT, so they could not be verified; renew it/,
  ],
  [
    'a certificate without its key',
    (ca) => unlinkSync(ca.path('signkey.pem')),
    /Cannot use issuer certificate ".*": its signing key ".*signkey.pem" is missing; put the key back, or move/,
  ],
  [
    'a key without its certificate, and without a root CA',
    (ca) => {
      for (const name of readdirSync(ca.folder)) if (name !== 'signkey.pem') unlinkSync(ca.path(name))
    },
    /Cannot use signing key ".*": its issuer certificate ".*issuercert.pem" is missing; put the certificate back/,
  ],
  [
    'a root CA without its key',
    (ca) => {
      for (const name of ['signkey.pem', 'issuercert.pem', 'swtpm-localca-rootca-privkey.pem'])
        unlinkSync(ca.path(name))
    },
    /Cannot make issuer certificate ".*": the key of the root CA, ".*privkey.pem", is missing; put it back, or move/,
  ],
  [
    'a serial number that may not be read',
    (ca) => writeFileSync(ca.path('certserial'), '1', { mode: 0o600 }),
    /Cannot read serial number file ".*certserial": permission denied/,
  ],
  [
    'a serial number behind a link',
    (ca) => {
      writeFileSync(ca.path('elsewhere'), '7')
      symlinkSync('elsewhere', ca.path('certserial'))
    },
    /Cannot write serial number file ".*certserial": .*symbolic link.*; no certificate has been issued/,
  ],
  [
    'no place for the certificate',
    (ca) => rmSync(ca.out, { recursive: true }),
    /Cannot write the certificate to ".*\/out\/ek.cert": no such file or directory/,
  ],
  [
    'a place for the certificate that may not be written',
    (ca) => chownSync(ca.out, 0, 0),
    /Cannot write the certificate to ".*\/out\/ek.cert": permission denied \(.* may not write in ".*\/out"\)/,
  ],
]

test('a CA that cannot be used is explained, and left alone', { skip: NO_SYSTEM }, async (t) => {
  for (const [name, spoil, said, before] of FAULTS) {
    await t.test(name, (t) => {
      const ca = new Ca(t)
      spoil(ca)
      const contents = ca.contents()
      const log = join(ca.system.folderOf(NOBODY, 'log'), 'log')
      const { status, stderr } = ca.issue({ uid: NOBODY, before: before?.(ca) }, '--logfile', log)
      assert.match(stderr, said)
      assert.equal(status, 1)
      assert.equal(stderr.split('\n').length, 2, stderr)
      assert.ok(readFileSync(log, 'utf8').endsWith(stderr))
      assert.deepEqual(ca.contents(), contents)
      assert.ok(!existsSync(join(ca.out, 'ek.cert')))
    })
  }
})

test('a full disk leaves no half-written file, and the CA is completed later', { skip: NO_SYSTEM }, (t) => {
  const ca = new Ca(t, false)
  // Room for one file: the key of the root CA.
  const mount = `mount -t tmpfs -o size=4k none ${ca.folder}`
  const script = `"$@"; echo $?; ls -A ${ca.folder}; mount -o remount,size=1m ${ca.folder}; "$@"`
  const { status, stdout, stderr } = ca.system.run(
    { before: mount },
    'sh',
    '-c',
    script,
    'sh',
    ...ca.command(),
  )
  assert.match(stderr, /^Cannot write ".*-rootca-cert.pem" of the local CA: no space left on device\n$/)
  assert.match(stdout, /^1\n\.lock\.swtpm-localca\nswtpm-localca-rootca-privkey\.pem\n(?!\.)/m)
  assert.equal(status, 0)
  assert.ok(existsSync(join(ca.out, 'ek.cert')))
})

test('a CA that was left half made is completed', { skip: NO_SYSTEM }, async (t) => {
  const order = ['swtpm-localca-rootca-cert.pem', 'signkey.pem', 'issuercert.pem']
  for (const [index, name] of order.entries()) {
    await t.test(`from ${name} on`, (t) => {
      const ca = new Ca(t)
      for (const missing of order.slice(index)) unlinkSync(ca.path(missing))
      // What one that was killed had begun to write.
      for (const begun of [...order, 'certserial', 'swtpm-localca-rootca-privkey.pem'])
        writeFileSync(ca.path(`.${begun}.0123456789ab`), 'begun')
      writeFileSync(ca.path('.signkey.pem.of-the-user'), 'precious')
      const contents = ca.contents()
      const { status, stderr } = ca.issue()
      assert.equal(status, 0, stderr)
      assert.deepEqual(
        readdirSync(ca.folder)
          .filter((file) => !/certserial|\.lock/.test(file))
          .sort(),
        [
          '.signkey.pem.of-the-user',
          'issuercert.pem',
          ...['signkey.pem', 'swtpm-localca-rootca-cert.pem', 'swtpm-localca-rootca-privkey.pem'],
        ],
      )
      for (const [file, content] of Object.entries(contents))
        assert.equal(readFileSync(ca.path(file), 'latin1'), content)
    })
  }
})

test('root creates and reads nothing through a link of another user', { skip: NO_SYSTEM }, async (t) => {
  for (const name of ['.lock.swtpm-localca', 'signkey.pem', 'issuercert.pem', 'certserial']) {
    await t.test(name, (t) => {
      const ca = new Ca(t)
      const target = join(ca.system.folder, 'target')
      if (existsSync(ca.path(name))) renameSync(ca.path(name), target)
      symlinkSync(target, ca.path(name))
      const { status, stderr } = ca.issue({})
      assert.equal(status, 1)
      assert.match(stderr, new RegExp(`"[^"]*${name}": .*symbolic link`))
      assert.equal(existsSync(target), name.endsWith('.pem'))
    })
  }
})

test('what root makes in the folder of another user does not shut that user out', {
  skip: NO_SYSTEM,
}, (t) => {
  const ca = new Ca(t, false)
  for (const caller of [{}, { uid: NOBODY }, {}, { uid: NOBODY }]) {
    const { status, stderr } = ca.issue(caller)
    assert.equal(status, 0, stderr)
    for (const name of readdirSync(ca.folder)) assert.equal(lstatSync(ca.path(name)).uid, NOBODY, name)
  }
})
