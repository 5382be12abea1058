/**
 * What swtpm_setup makes, seen by others: the real TPM starts with it, tpm2-tools read it, openssl verifies its
 * certificates. Each test of a TPM runs with our swtpm and, where it is installed, with the reference's.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHmac, randomBytes, X509Certificate } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TpmCommandLine } from '../../src/programs/swtpm_setup/tpm-command-line.ts'
import { TpmFeatures } from '../../src/programs/swtpm_setup/tpm-features.ts'
import { TpmProcess } from '../../src/programs/swtpm_setup/tpm-process.ts'
import { concat, u8, u16, u32 } from '../../src/tpm-commands/bytes.ts'
import { authSession, NV_INDEX_EK_CERT, oiap, sha1 } from '../../src/tpm-commands/tpm12-commands.ts'
import { isListening } from '../support/listening.ts'
import { alive } from '../support/processes.ts'
import { bin, REFERENCE_SWTPM, Swtpm } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'
import { der, type Site, setUp, setup, site, TPMS } from './setup-site.ts'

const missing = (program: string, packageName: string): string | false =>
  spawnSync(program, ['--version']).error === undefined
    ? false
    : `${program} is missing: apt install ${packageName}`
const NO_TPM2_TOOLS = missing('tpm2_getcap', 'tpm2-tools')
const NO_OPENSSL = missing('openssl', 'openssl')

/** Starts a TPM 2 on the state and gives a way to run tpm2-tools with it. */
async function tpm2Tools(
  t: TestContext,
  where: Site,
  program: string,
  ...args: string[]
): Promise<{ run(tool: string, ...args: string[]): Buffer; stop(): Promise<void> }> {
  const socket = join(where.folder, `socket-${randomBytes(4).toString('hex')}`)
  const tpm = new Swtpm(
    [
      ...['socket', '--tpm2', '--tpmstate', `dir=${where.state}`, '--flags', 'startup-clear', ...args],
      ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`],
    ],
    { program },
  )
  t.after(() => tpm.stop('SIGKILL'))
  await tpm.until(() => isListening(socket) && isListening(`${socket}.ctrl`), 'it listens')
  return {
    run: (tool, ...toolArgs) =>
      execFileSync(tool, toolArgs, {
        cwd: where.folder,
        env: { ...process.env, TPM2TOOLS_TCTI: `swtpm:path=${socket}` },
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    stop: async () => {
      await tpm.stop()
    },
  }
}

const publicKeyPem = (certificate: Buffer): string =>
  new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'pem' }) as string

/** Fails unless `certificate` leads to the root CA of `where`. */
function verify(where: Site, certificate: Buffer): void {
  const pem = join(where.folder, `${randomBytes(4).toString('hex')}.pem`)
  writeFileSync(pem, new X509Certificate(certificate).toString())
  const chain = [
    '-CAfile',
    `${where.ca}/swtpm-localca-rootca-cert.pem`,
    '-untrusted',
    `${where.ca}/issuercert.pem`,
  ]
  // The alternative name is critical and holds only a directory name, which openssl leaves to its caller.
  execFileSync('openssl', ['verify', '-ignore_critical', ...chain, pem], { stdio: 'pipe' })
}

const LIBVIRT = [
  ...['--tpm2', '--vmid', 'vm1:5e7ab3c1-0000-4000-8000-000000000001', '--createek', '--create-ek-cert'],
  ...['--create-platform-cert', '--lock-nvram', '--not-overwrite'],
]

for (const program of TPMS) {
  const named = (name: string): string =>
    `${name} (${program === REFERENCE_SWTPM ? 'reference swtpm' : 'our swtpm'})`
  const testTpm2 = (name: string, body: (t: TestContext) => Promise<void>): void => {
    test(named(name), { skip: NO_TPM2_TOOLS || NO_OPENSSL }, body)
  }

  testTpm2("libvirt's command line makes a TPM 2 that tpm2-tools know", async (t) => {
    const where = site(t)
    const log = join(where.folder, 'log')
    const { stdout } = setUp(
      where,
      program,
      ...LIBVIRT,
      '--logfile',
      log,
      '--write-ek-cert-files',
      where.folder,
    )
    assert.equal(stdout, '')
    assert.match(
      readFileSync(log, 'utf8'),
      /^Successfully created NVRAM area 0x1c00002 for RSA 2048 EK certificate\.$/m,
    )
    assert.match(readFileSync(log, 'utf8'), /^Successfully authored TPM state\.$/m)
    const [rsa, ecc] = [der(where, 'ek-rsa2048.crt'), der(where, 'ek-secp384r1.crt')]

    const tpm = await tpm2Tools(t, where, program)
    assert.deepEqual(tpm.run('tpm2_nvread', '0x1c00002'), rsa)
    assert.deepEqual(tpm.run('tpm2_nvread', '0x1c00016'), ecc)
    const platform = tpm.run('tpm2_nvread', '0x1c08000')
    assert.match(
      tpm.run('tpm2_nvreadpublic', '0x1c00002').toString(),
      /ppwrite\|writelocked\|writedefine\|ppread\|ownerread\|authread\|no_da\|written\|platformcreate/,
    )
    for (const [handle, certificate] of [
      ['0x81010001', rsa],
      ['0x81010016', ecc],
    ] as const) {
      tpm.run('tpm2_readpublic', '-c', handle, '-f', 'pem', '-o', 'ek.pem')
      assert.equal(der(where, 'ek.pem').toString(), publicKeyPem(certificate))
    }
    // The standard template makes the same key again: a client that re-creates the EK gets the key of the certificate.
    tpm.run('tpm2_createek', '-c', 'ek.ctx', '-G', 'rsa', '-u', 'again.pem', '-f', 'pem')
    assert.equal(der(where, 'again.pem').toString(), publicKeyPem(rsa))

    for (const certificate of [rsa, ecc, platform]) verify(where, certificate)
    assert.equal(new X509Certificate(rsa).subject, 'CN=vm1:5e7ab3c1-0000-4000-8000-000000000001')
    assert.match(
      tpm.run('tpm2_getcap', 'pcrs').toString(),
      /sha1: \[ \]\n {2}- sha256: \[ 0, 1,.*23 \]\n {2}- sha384: \[ \]\n {2}- sha512: \[ \]/,
    )
  })

  testTpm2('a TPM 2 is reconfigured and keeps its keys', async (t) => {
    const where = site(t)
    setUp(where, program, '--tpm2', '--createek', '--create-spk', '--ecc')
    setUp(where, program, '--tpm2', '--reconfigure', '--pcr-banks', 'sha1', '--pcr-banks', 'sha512,sha1')
    const tpm = await tpm2Tools(t, where, program)
    assert.match(
      tpm.run('tpm2_getcap', 'pcrs').toString(),
      /sha1: \[ 0,[\s\S]*sha256: \[ \][\s\S]*sha512: \[ 0,/,
    )
    assert.deepEqual(tpm.run('tpm2_getcap', 'handles-persistent').toString().match(/0x\w+/g), [
      ...['0x81000001', '0x81010001', '0x81010016'],
    ])
  })

  testTpm2('other algorithms, device keys and signing EKs have their places', async (t) => {
    const where = site(t)
    const algorithms = ['--ek1keyalgo', 'rsa3072', '--ek2keyalgo', 'ecc_nist_p256']
    const devices = [
      '--iakkeyalgo',
      'secp384r1',
      '--idevidkeyalgo',
      'rsa2048',
      '--allow-signing',
      '--decryption',
    ]
    const files = ['--write-ek-cert-files', where.folder]
    setUp(where, program, '--tpm2', '--create-ek-cert', ...algorithms, ...devices, ...files)
    const tpm = await tpm2Tools(t, where, program)
    assert.deepEqual(tpm.run('tpm2_getcap', 'handles-persistent').toString().match(/0x\w+/g), [
      ...['0x8101000A', '0x8101001C', '0x81020000', '0x81020001'],
    ])
    const names = ['ek-rsa3072', 'ek-secp256r1', 'iak-secp384r1', 'idevid-rsa2048']
    for (const [index, name] of ['0x1c0001c', '0x1c0000a', '0x1c90100', '0x1c90200'].entries()) {
      const certificate = tpm.run('tpm2_nvread', name)
      assert.deepEqual(certificate, der(where, `${names[index]}.crt`))
      verify(where, certificate)
    }
    const usage = execFileSync(
      'openssl',
      ['x509', '-inform', 'der', '-noout', '-ext', 'keyUsage', '-in', 'ek-rsa3072.crt'],
      { cwd: where.folder, encoding: 'utf8' },
    )
    assert.match(usage, /critical\s+Digital Signature, Key Encipherment/)
    assert.equal(tpm.run('tpm2_nvread', '0x1c0001d').readUInt32BE(4), 0x000600f2)
  })

  testTpm2('encrypted state opens with the passphrase that came over a descriptor', async (t) => {
    const where = site(t)
    const [password, wrong] = [join(where.folder, 'password'), join(where.folder, 'wrong')]
    writeFileSync(password, 'correct horse')
    writeFileSync(wrong, 'battery staple')
    const fd = openSync(password, 'r')
    const args = ['--tpm2', '--createek', '--pwdfile-fd', '3', '--cipher', 'aes-256-cbc']
    const result = setup(where, program, args, [fd])
    closeSync(fd)
    assert.equal(result.status, 0, result.stderr)
    const statePath = join(where.state, 'tpm2-00.permall')
    const state = readFileSync(statePath)
    assert.equal(state.readUInt16BE(4) & 9, 9, 'the state is encrypted with a 256 bit key')

    const refused = setup(where, program, [
      ...['--tpm2', '--reconfigure', '--pcr-banks', 'sha512', '--pwdfile', wrong, '--cipher', 'aes-256-cbc'],
    ])
    assert.equal(refused.status, 1)
    assert.deepEqual(readFileSync(statePath), state, 'a failed reconfiguration keeps the TPM')

    const tpm = await tpm2Tools(t, where, program, '--key', `pwdfile=${password},mode=aes-256-cbc`)
    assert.match(tpm.run('tpm2_getcap', 'handles-persistent').toString(), /0x81010001/)
  })

  test(named('a TPM 1.2 gets an EK, certificates and an owner'), async (t) => {
    for (const [args, ownerAuth] of [
      [['--take-ownership', '--ownerpass', 'owner', '--srkpass', 'srk'], sha1('owner')],
      [['--take-ownership', '--owner-well-known', '--srk-well-known'], sha1(Buffer.alloc(20))],
      [['--take-ownership'], sha1('ooo')],
    ] as const) {
      const where = site(t)
      const certs = [
        '--create-ek-cert',
        '--create-platform-cert',
        '--lock-nvram',
        '--write-ek-cert-files',
        where.folder,
      ]
      setUp(where, program, ...args, ...certs)
      const certificate = der(where, 'ek-rsa2048.crt')
      verify(where, certificate)

      const tpm = await TpmProcess.start({
        command: TpmCommandLine.parse(`${program} socket`),
        tpm2: false,
        stateUri: `dir://${where.state}`,
        args: [],
        passedFds: [],
        log: { file: join(where.folder, 'log'), quiet: false },
      })
      try {
        await tpm.ready()
        const stored = await ownerNvRead(tpm, ownerAuth, certificate.length + 7)
        assert.deepEqual(
          stored.subarray(0, 7),
          concat(u16(0x1001), u8(0), u16(certificate.length + 2), u16(0x1002)),
        )
        assert.deepEqual(stored.subarray(7), certificate)
        await assert.rejects(
          ownerNvRead(tpm, sha1('not the owner'), 10),
          /TPM_NV_ReadValue failed: 0x1 \(TPM_AUTHFAIL\)$/,
        )
      } finally {
        await tpm.stop()
      }
    }
  })

  test(named('existing state is refused, kept or erased'), (t) => {
    for (const [args, name] of [
      [['--tpm2'], 'tpm2-00.permall'],
      [[], 'tpm-00.permall'],
    ] as const) {
      const where = site(t)
      const path = join(where.state, name)
      writeFileSync(path, 'DUMMY')
      const refused = setup(where, program, args)
      assert.equal(refused.status, 1)
      assert.match(refused.stderr, /Found existing TPM state .*; pass --overwrite/)
      const kept = setUp(where, program, ...args, '--not-overwrite')
      assert.match(kept.stdout, /Not overwriting existing state file\./)
      assert.equal(readFileSync(path, 'utf8'), 'DUMMY')
      setUp(where, program, ...args, '--overwrite')
      assert.notEqual(readFileSync(path, 'utf8'), 'DUMMY')
    }
  })

  const noFile = TpmFeatures.of(TpmCommandLine.parse(program), false).has('nvram-backend-file')
    ? false
    : `${program} does not announce nvram-backend-file`
  test(named('the state may be one file'), { skip: noFile }, (t) => {
    const where = site(t)
    const file = join(where.folder, 'state.bin')
    setUp({ ...where, state: `file://${file}` }, program, '--tpm2', '--createek')
    assert.equal(readFileSync(file).readBigUInt64LE(0), 0x737774706d6c696en)
    assert.equal(setup({ ...where, state: `file://${file}` }, program, ['--tpm2']).status, 1)
  })

  test(named('a certificate tool that fails leaves no state, no process and no file'), (t) => {
    const where = site(t)
    const tool = join(where.folder, 'tool')
    writeFileSync(tool, '#!/bin/sh\necho working\necho reason >&2\nexit 7\n', { mode: 0o755 })
    writeFileSync(where.config, `create_certs_tool = ${tool}\n`)
    const failed = setup(where, program, ['--tpm2', '--create-ek-cert'])
    assert.equal(failed.status, 1)
    assert.match(failed.stdout, /^tool: working$/m)
    assert.match(failed.stderr, /tool exit with status 7: reason/)
    assert.match(failed.stderr, /An error occurred\. Authoring the TPM state failed\./)
    assert.deepEqual(statesIn(where), [])
    assert.deepEqual(readdirSync(where.temporary), [])
  })

  test(named('a signal in the middle of a setup leaves nothing behind'), async (t) => {
    const where = site(t)
    const [tool, started] = [join(where.folder, 'tool'), join(where.folder, 'started')]
    writeFileSync(tool, `#!/bin/sh\necho $$ > ${started}\nexec sleep 600\n`, { mode: 0o755 })
    writeFileSync(where.config, `create_certs_tool = ${tool}\n`)
    const child: ChildProcess = spawn(
      bin('swtpm_setup'),
      [
        ...['--tpm', `${program} socket`, '--tpm-state', where.state, '--config', where.config],
        ...['--tpm2', '--create-ek-cert'],
      ],
      { stdio: 'ignore', env: { ...process.env, TMPDIR: where.temporary } },
    )
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await waitFor(() => existsSync(started) && readFileSync(started, 'utf8').endsWith('\n'), {
      what: 'the tool',
    })
    child.kill('SIGTERM')
    assert.equal(await ended, 128 + 15)
    assert.deepEqual(statesIn(where), [])
    assert.deepEqual(readdirSync(where.temporary), [])
    const pid = Number(readFileSync(started, 'utf8'))
    await waitFor(() => !alive(pid), { what: 'the end of the tool' })
  })
}

const statesIn = (where: Site): string[] => readdirSync(where.state).filter((name) => name !== '.lock')

/** TPM_NV_ReadValue of the EK certificate with the owner's authorisation, as a locked TPM 1.2 wants it. */
async function ownerNvRead(tpm: TpmProcess, ownerAuth: Buffer, length: number): Promise<Buffer> {
  const { handle, nonceEven } = authSession(await tpm.transmit('TPM_OIAP', oiap()))
  const ordinal = u32(0xcf)
  const parameters = concat(u32(NV_INDEX_EK_CERT), u32(0), u32(length))
  const [nonceOdd, endSession] = [randomBytes(20), u8(0)]
  const proof = createHmac('sha1', ownerAuth)
    .update(concat(sha1(concat(ordinal, parameters)), nonceEven, nonceOdd, endSession))
    .digest()
  const body = concat(ordinal, parameters, u32(handle), nonceOdd, endSession, proof)
  const response = await tpm.transmit('TPM_NV_ReadValue', concat(u16(0xc2), u32(6 + body.length), body))
  return response.subarray(14, 14 + response.readUInt32BE(10))
}
