import assert from 'node:assert/strict'
import { test } from 'node:test'
import { givenOptions } from '../../../../src/command-line/parse/parse-command-line.ts'
import { stateOf } from '../../../../src/command-line/parse/state.ts'
import { assertHas, parseSocket, refusal } from './command-line.ts'

const SOCKET = '--ctrl type=unixio,path=c'

const states: [option: string, meaning: object][] = [
  [
    'dir=/d',
    {
      state: { kind: 'dir', path: '/d', lock: true },
      engine: { mode: 0o640, modeGiven: false, sync: true, backup: false },
    },
  ],
  [
    'dir=/d,mode=0600,lock=false,backup,fsync=false',
    { state: { lock: false }, engine: { mode: 0o600, modeGiven: true, sync: false, backup: true } },
  ],
  ['dir=/d,fsync', { engine: { sync: true } }],
  ['dir=/d', { engine: { journal: true } }],
  ['dir=/d,journal=false', { engine: { journal: false } }],
  ['dir=/d,backup', { engine: { backup: true, journal: false } }],
  ['backend-uri=file:///f,journal=false,backup=false,fsync', { engine: { journal: false, sync: true } }],
  ['dir=/d,mode=0640', { engine: { mode: 0o640, modeGiven: true } }],
  ['backend-uri=dir:///d/e', { state: { kind: 'dir', path: '/d/e', lock: true } }],
  ['backend-uri=dir://rel', { state: { kind: 'dir', path: 'rel' } }],
  [
    'backend-uri=file:///dev/sdb',
    { state: { kind: 'linear', path: '/dev/sdb', lock: false }, engine: { sync: true, backup: false } },
  ],
  [
    'backend-uri=file:///f,lock,mode=0600',
    { state: { kind: 'linear', path: '/f', lock: true }, engine: { mode: 0o600 } },
  ],
]
for (const [option, meaning] of states) {
  test(`--tpmstate ${option}`, () =>
    assertHas(stateOf(givenOptions(['--tpmstate', option], 'socket'), {}), meaning))
}

test('TPM_PATH is the state directory when there is no --tpmstate', () => {
  assertHas(parseSocket(SOCKET, { TPM_PATH: '/p' }).state, {
    kind: 'dir',
    path: '/p',
    lock: true,
  })
  assertHas(parseSocket(`${SOCKET} --tpmstate dir=/d`, { TPM_PATH: '/p' }).state, { path: '/d' })
})

const keys: [option: string, key: object][] = [
  [
    'file=/k',
    {
      origin: { kind: 'file', path: '/k' },
      material: { kind: 'key', format: 'hex' },
      keyBits: 128,
      remove: false,
    },
  ],
  [
    'fd=0,format=binary,mode=aes-256-cbc',
    { origin: { kind: 'fd', fd: 0 }, material: { kind: 'key', format: 'binary' }, keyBits: 256 },
  ],
  [
    'pwdfile=/p,kdf=sha512,remove',
    { origin: { kind: 'file', path: '/p' }, material: { kind: 'passphrase', kdf: 'sha512' }, remove: true },
  ],
  [
    'pwdfd=9,mode=aes-128-cbc',
    { origin: { kind: 'fd', fd: 9 }, material: { kind: 'passphrase', kdf: 'pbkdf2' }, keyBits: 128 },
  ],
]
for (const [option, key] of keys) {
  test(`--key ${option}, and --migration-key alike`, () => {
    const config = parseSocket(`${SOCKET} --tpmstate dir=/d --key ${option} --migration-key ${option}`)
    assertHas(config.fileKey, key)
    assertHas(config.migrationKey, key)
  })
}

const refused: [options: string, message: string][] = [
  ['--tpmstate mode=0600', '--tpmstate: one of dir=DIR and backend-uri=URI is required'],
  ['--tpmstate dir=', '--tpmstate: dir needs a value: dir=DIR'],
  ['--tpmstate dir=/d,backend-uri=dir:///d', '--tpmstate: give either dir or backend-uri, not both'],
  ['--tpmstate dir=/d,backup,journal', '--tpmstate: give either journal or backup, not both'],
  [
    '--tpmstate backend-uri=file:///f,backup',
    '--tpmstate: backup is for a state directory: leave it out, or give dir=DIR instead of backend-uri=file:///f',
  ],
  [
    '--tpmstate backend-uri=file:///f,journal',
    '--tpmstate: journal is for a state directory: leave it out, or give dir=DIR instead of backend-uri=file:///f',
  ],
  ['--tpmstate backend-uri=/d', '--tpmstate: backend-uri "/d" is neither dir://DIR nor file://PATH'],
  ['--tpmstate backend-uri=dir://', '--tpmstate: backend-uri "dir://" is neither dir://DIR nor file://PATH'],
  [
    '--tpmstate /d',
    '--tpmstate: "/d" is unknown; known are dir, backend-uri, mode, lock, backup, fsync, journal',
  ],
  [
    '--tpmstate dir=/d --key file=/a,pwdfd=3',
    '--key: exactly one of file, fd, pwdfile and pwdfd is required, not file and pwdfd',
  ],
  [
    '--tpmstate dir=/d --key file=/a,mode=aes-512-cbc',
    '--key: mode "aes-512-cbc" is none of aes-cbc, aes-128-cbc, aes-256-cbc',
  ],
  ['--tpmstate dir=/d --key file=/a,format=base64', '--key: format "base64" is none of hex, binary'],
  [
    '--tpmstate dir=/d --migration-key pwdfile=/a,kdf=md5',
    '--migration-key: kdf "md5" is none of pbkdf2, sha512',
  ],
  ['--tpmstate dir=/d --key fd=-1', '--key: fd "-1" is not a decimal number from 0 to 2147483647'],
]
for (const [options, message] of refused) {
  test(`refused: ${options}`, () => {
    assert.deepEqual(refusal(`swtpm socket ${SOCKET} ${options}`), { message, exitCode: 1 })
  })
}

test('a key that was put on the command line is not repeated in the error', () => {
  assert.deepEqual(
    refusal(`swtpm socket ${SOCKET} --tpmstate dir=/d --key 000102030405060708090a0b0c0d0e0f`),
    {
      message: '--key: an item is unknown; known are file, fd, pwdfile, pwdfd, format, mode, kdf, remove',
      exitCode: 1,
    },
  )
})
