/** swtpm_setup with a swtpm or a certificate tool that answers badly: one sentence, no stack, no state left behind. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { controlCode } from '../../contract/verbs.ts'
import { TPM_CC, TPM_ORD } from '../../src/tpm-structures/command-codes.ts'
import { bin, temporaryDirectory } from '../support/swtpm.ts'
import { type Result, setup, site } from './setup-site.ts'

/** What a fake swtpm answers. Commands without an entry get {@link SUCCESS}. */
interface Answers {
  /** By command code: a response in hex digits, `close` to hang up, or `silence`. */
  readonly commands?: Readonly<Record<number, string>>
  /** What PTM_GET_INFO returns. */
  readonly info?: string
  /** The result of PTM_GET_INFO, when it is an error. */
  readonly infoResult?: number
  /** What --print-profiles prints. */
  readonly profiles?: string
  /** What gets no answer: the question for its capabilities, all verbs, or the one to end. */
  readonly silent?: 'capabilities' | 'control' | 'shutdown'
}

const SUCCESS = '80010000000a00000000'
const SPECIFICATION = JSON.stringify({
  TPMSpecification: { family: '2.0', level: 0, revision: 164 },
  TPMAttributes: { manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' },
})

/** The text of a program that takes swtpm's place: data channel on descriptor 3, control channel on 4. */
const program = (answers: Answers): string => `#!${process.execPath}
const answers = ${JSON.stringify(answers)}
const { Socket } = require('node:net')
const args = process.argv.join(' ')
if (answers.silent === 'capabilities') setInterval(() => {}, 1000)
else if (args.includes('--print-capabilities')) {
  const features = ['tpm-1.2', 'tpm-2.0', 'cmdarg-profile', 'cmdarg-print-profiles']
  console.log(JSON.stringify({ features, profiles: { names: ['default-v1'] } }))
} else if (args.includes('--print-profiles')) {
  console.log(answers.profiles)
} else serve()

function serve() {
  const data = new Socket({ fd: 3 })
  data.on('data', (command) => {
    const answer = answers.commands?.[command.readUInt32BE(6)] ?? '${SUCCESS}'
    if (answer === 'close') data.destroy()
    else if (answer !== 'silence') data.write(Buffer.from(answer, 'hex'))
  })
  const control = new Socket({ fd: 4 })
  control.on('data', (request) => {
    const verb = request.readUInt32BE()
    if (answers.silent === 'control') return
    if (verb === ${controlCode('SHUTDOWN')}) {
      if (answers.silent === 'shutdown') return
      control.end(words(0), () => process.exit(0))
    } else if (verb === ${controlCode('GET_CAPABILITY')}) control.write(words(0, 0xffff))
    else if (answers.infoResult !== undefined) control.write(words(answers.infoResult))
    else {
      const info = Buffer.from(answers.info + '\\0')
      control.write(Buffer.concat([words(0, info.length, info.length), info]))
    }
  })
}

function words(...values) {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index)
  return bytes
}
`

function fakeSwtpm(t: TestContext, answers: Answers): string {
  const path = join(temporaryDirectory(t), 'fake')
  writeFileSync(path, program({ info: SPECIFICATION, ...answers }), { mode: 0o755 })
  return path
}

function assertSentence({ status, stdout, stderr }: Result, expected: RegExp): void {
  assert.equal(status, 1, `${stderr}${stdout}`)
  assert.match(stderr, expected)
  assert.doesNotMatch(stderr, /^\s+at |Error:/m, 'a fault that a user reads has no stack')
}

const TPM2_CASES: readonly (readonly [what: string, args: string[], answers: Answers, expected: RegExp])[] = [
  [
    'a created key that is a header only',
    ['--createek'],
    {},
    /^TPM2_CreatePrimary\(RSA 2048\) failed: the TPM's response is too short$/m,
  ],
  [
    'PCR banks that are a header only',
    [],
    {},
    /^TPM2_GetCapability failed: the TPM's response is too short$/m,
  ],
  [
    'more PCR banks than the response holds',
    [],
    { commands: { [TPM_CC.GetCapability]: '8001000000130000000000000000050fffffff' } },
    /^TPM2_GetCapability failed: the TPM's response is too short$/m,
  ],
  [
    'an error',
    ['--pcr-banks=-'],
    { commands: { [TPM_CC.Shutdown]: '80010000000a00000101' } },
    /^TPM2_Shutdown failed: 0x101 \(TPM_RC_FAILURE\)$/m,
  ],
  [
    'a size that no response has',
    ['--pcr-banks=-'],
    { commands: { [TPM_CC.Shutdown]: '8001ffffffff00000000' } },
    /^TPM2_Shutdown failed: the TPM's response claims to have 4294967295 bytes$/m,
  ],
  [
    'a connection that is closed instead of an answer',
    ['--pcr-banks=-'],
    { commands: { [TPM_CC.Shutdown]: 'close' } },
    /TPM2_Shutdown: no answer from swtpm: it closed the connection$/m,
  ],
  [
    'text',
    ['--pcr-banks=-'],
    { commands: { [TPM_CC.Shutdown]: Buffer.from('HTTP/1.1 400 Bad Request').toString('hex') } },
    /^TPM2_Shutdown failed: the TPM's response claims to have 1414541105 bytes$/m,
  ],
  [
    'nothing at all',
    ['--createek'],
    { commands: { [TPM_CC.CreatePrimary]: 'silence' } },
    /TPM2_CreatePrimary\(RSA 2048\): no answer from swtpm within 1 s/m,
  ],
  [
    'half a header',
    ['--pcr-banks=-'],
    { commands: { [TPM_CC.Shutdown]: '80010000' } },
    /TPM2_Shutdown: no answer from swtpm within 1 s/m,
  ],
  [
    'nothing on the control channel',
    [],
    { silent: 'control' },
    /^Could not start the TPM with .*: no answer from swtpm within 1 s/m,
  ],
  [
    'nothing when it is told to end',
    ['--pcr-banks=-'],
    { silent: 'shutdown' },
    /fake did not end in order when told to: signal SIGKILL$/m,
  ],
  [
    'nothing when it is asked what it can do',
    [],
    { silent: 'capabilities' },
    /^Could not execute .*fake socket --print-capabilities --tpm2: no answer within 1 s; is it swtpm\?$/m,
  ],
  [
    'an active profile that is no JSON',
    ['--profile', '{"Name":"default-v1"}'],
    { info: 'nonsense' },
    /^PTM_GET_INFO failed: swtpm's answer is no JSON: "nonsense"$/m,
  ],
  [
    'an active profile that cannot be asked for',
    ['--profile', '{"Name":"default-v1"}'],
    { infoResult: 9 },
    /^PTM_GET_INFO failed: 0x9 \(TPM_FAIL\)$/m,
  ],
  [
    'a description of the TPM that is empty',
    ['--create-ek-cert'],
    { info: 'null' },
    /^Could not find \[TPMSpecification\]\[family\] in 'null'$/m,
  ],
  [
    'profiles that are no JSON',
    ['--print-profiles'],
    { profiles: 'nonsense' },
    /--print-profiles printed no profiles: "nonsense"; is it swtpm\?$/m,
  ],
]
/** For those that do not answer. */
const ONE_SECOND = { SWTPM_SETUP_TIMEOUT: '1' }

for (const [what, args, answers, expected] of TPM2_CASES) {
  test(`a TPM 2 answers with ${what}`, (t) => {
    const where = site(t)
    const old = join(where.state, 'tpm2-00.permall')
    writeFileSync(old, 'OLD')
    const all = ['--tpm2', '--overwrite', ...args]
    const quick = expected.source.includes('1 s') || answers.silent !== undefined
    assertSentence(setup(where, fakeSwtpm(t, answers), all, [], quick ? ONE_SECOND : {}), expected)
    assert.equal(readFileSync(old, 'utf8'), 'OLD')
    assert.deepEqual(
      readdirSync(where.state).filter((name) => name !== '.lock'),
      ['tpm2-00.permall'],
    )
  })
}

test('a TPM 1.2 answers with an endorsement key without a modulus', (t) => {
  const emptyKey = `00c40000001a00000000${'00'.repeat(16)}`
  const answers = { commands: { [TPM_ORD.CreateEndorsementKeyPair]: emptyKey } }
  assertSentence(
    setup(site(t), fakeSwtpm(t, answers), ['--take-ownership']),
    /^TPM_CreateEndorsementKeyPair failed: the TPM's key has 0 bits instead of 2048$/m,
  )
})

/** Has the certificate tool leave `content` as the EK certificate. */
function setupWithCertificate(t: TestContext, content: string, ...args: string[]): Result {
  const where = site(t)
  const tool = join(where.folder, 'tool')
  const findFolder = 'while [ "$1" != --dir ]; do shift; done'
  writeFileSync(tool, `#!/bin/sh\n${findFolder}\n${content} > "$2/ek.cert"\n`, { mode: 0o755 })
  writeFileSync(where.config, `create_certs_tool = ${tool}\n`)
  return setup(where, bin('swtpm'), ['--tpm2', '--create-ek-cert', ...args])
}

test('a certificate tool leaves something that is no certificate', (t) => {
  assertSentence(
    setupWithCertificate(t, 'echo nonsense', '--iakkeyalgo', 'secp384r1'),
    /^Cannot read the EK certificate: .+; create_certs_tool must write X\.509 in DER form$/m,
  )
})

test('a certificate tool leaves a certificate that no NVRAM area holds', (t) => {
  assertSentence(
    setupWithCertificate(t, 'head -c 70000 /dev/zero'),
    /^Could not write RSA 2048 EK certificate into NVRAM area 0x1c00002: it has 70000 bytes, an area holds at most 65535$/m,
  )
})
