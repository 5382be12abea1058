import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertHas, parse, parseSocket, refusal } from './command-line.ts'

const BASE = '--ctrl type=unixio,path=c --tpmstate dir=/d'

const accepted: [options: string, meaning: object][] = [
  [
    '',
    {
      tpmVersion: '1.2',
      seccomp: 'kill',
      pid: undefined,
      profile: undefined,
      pcap: undefined,
      trace: undefined,
      fileKey: undefined,
    },
  ],
  ['', { log: { destination: { kind: 'stderr' }, level: 1, prefix: 'swtpm: ', format: 'text' } }],
  ['--flags not-need-init', { flags: { needInit: false, startup: 'none' }, engine: { autoShutdown: true } }],
  ['--flags startup-none', { flags: { needInit: true, startup: 'none' } }],
  ['--flags startup-state', { flags: { needInit: false, startup: 'state' } }],
  ['--flags startup-deactivated', { flags: { needInit: false, startup: 'deactivated' } }],
  ['--flags startup-clear=false', { flags: { needInit: true, startup: 'none' } }],
  ['--flags disable-auto-shutdown', { flags: { needInit: true }, engine: { autoShutdown: false } }],
  ['--locality reject-locality-4', { allowSetLocality: false, engine: { rejectLocality4: true } }],
  ['--migration incoming', { migration: { incoming: true, releaseLockOutgoing: false } }],
  ['--seccomp action=log', { seccomp: 'log' }],
  ['--seccomp action=none', { seccomp: 'none' }],
  ['--runas tss -R /jail', { runAs: 'tss', chroot: '/jail' }],
  ['--pid file=/p', { pid: { kind: 'file', path: '/p' } }],
  ['--pid fd=4', { pid: { kind: 'fd', fd: 4 } }],
  ['--log file=-', { log: { destination: { kind: 'none' } } }],
  [
    '--log fd=2,level=5,prefix=tpm0:',
    { log: { destination: { kind: 'fd', fd: 2 }, level: 5, prefix: 'tpm0:' } },
  ],
  [
    '--log file=/l,truncate',
    { log: { destination: { kind: 'file', path: '/l', truncate: true }, prefix: '' } },
  ],
  ['--log level=0', { log: { destination: { kind: 'stderr' }, level: 1 } }],
  ['--log file=/l,fd=5', { log: { destination: { kind: 'file', path: '/l' } } }],
  ['--log level=2,format=json', { log: { format: 'json', level: 2 } }],
]
for (const [options, meaning] of accepted) {
  test(`options "${options}"`, () => assertHas(parseSocket(`${BASE} ${options}`), meaning))
}

const refused: [options: string, message: string][] = [
  ['--flags startup-clear,startup-state', '--flags: startup-clear and startup-state exclude each other'],
  [
    '--tpm2 --flags startup-deactivated',
    '--flags: startup-deactivated is for a TPM 1.2 only, not with --tpm2',
  ],
  [
    '--flags startup',
    '--flags: "startup" is unknown; known are not-need-init, startup-clear, startup-state, startup-deactivated, startup-none, disable-auto-shutdown',
  ],
  ['--seccomp kill', '--seccomp: "kill" is unknown; known are action'],
  ['--seccomp action=trap', '--seccomp: action "trap" is none of none, log, kill'],
  ['--pid /p', '--pid: "/p" is unknown; known are file, fd'],
]
for (const [options, message] of refused) {
  test(`refused: ${options}`, () => {
    assert.deepEqual(refusal(`swtpm socket ${BASE} ${options}`), { message, exitCode: 1 })
  })
}

test('SWTPM_LOG_FORMAT chooses the log format when --log does not', () => {
  assert.equal(parseSocket(BASE, { SWTPM_LOG_FORMAT: 'json' }).log.format, 'json')
  assert.equal(parseSocket(`${BASE} --log format=text`, { SWTPM_LOG_FORMAT: 'json' }).log.format, 'text')
  assert.equal(
    refusal(`swtpm socket ${BASE}`, { SWTPM_LOG_FORMAT: 'xml' }).message,
    'SWTPM_LOG_FORMAT "xml" is neither text nor json',
  )
})

const prints: [line: string, meaning: object][] = [
  ['swtpm socket --print-capabilities', { action: 'print-capabilities', tpmVersion: '1.2' }],
  ['swtpm chardev --print-capabilities --tpm2', { action: 'print-capabilities', tpmVersion: '2' }],
  ['swtpm cuse --print-capabilities --print-profiles', { action: 'print-capabilities', interface: 'cuse' }],
  [
    'swtpm socket --print-states --tpmstate dir=/d --tpm2',
    { action: 'print-states', state: { kind: 'dir', path: '/d' } },
  ],
  ['swtpm cuse --print-profiles', { action: 'print-profiles' }],
  ['swtpm chardev --print-info 0x7 --tpm2', { action: 'print-info', infoFlags: 7, stored: undefined }],
  [
    'swtpm socket --print-info 8 --tpmstate dir=/d',
    { action: 'print-info', infoFlags: 8, stored: { state: { path: '/d' } } },
  ],
  ['swtpm socket --help', { action: 'help', interface: 'socket' }],
  ['swtpm socket --tpmstate nonsense -h', { action: 'help' }],
  ['swtpm chardev --version', { action: 'version' }],
]
for (const [line, meaning] of prints) {
  test(line, () => assertHas(parse(line), meaning))
}
