import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { SwtpmError } from '../../../../src/system/errors.ts'
import { type KeySource, readStateKey } from '../../../../src/tpm/state/state-key.ts'

const folder = mkdtempSync(join(tmpdir(), 'state-key-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
function fileWith(content: string | Uint8Array): string {
  const path = join(folder, `material-${files++}`)
  writeFileSync(path, content)
  return path
}

type Overrides = Partial<Omit<KeySource, 'origin'>>

const HEX: KeySource['material'] = { kind: 'key', format: 'hex' }
const BINARY: KeySource['material'] = { kind: 'key', format: 'binary' }
const PBKDF2: KeySource['material'] = { kind: 'passphrase', kdf: 'pbkdf2' }
const SHA512: KeySource['material'] = { kind: 'passphrase', kdf: 'sha512' }

function fromFile(path: string, overrides: Overrides): KeySource {
  return { origin: { kind: 'file', path }, material: HEX, keyBits: 128, remove: false, ...overrides }
}

const K16 = '000102030405060708090a0b0c0d0e0f'
const K32 = `${K16}f0e1d2c3b4a5968778695a4b3c2d1e0f`

const PASSPHRASE = 'secret passphrase'
// Computed with another implementation of PBKDF2 (Python's hashlib), over the passphrase and its newline.
const PASSPHRASE_PBKDF2 = '34a18501d3b3a89ea7a4f53c562670f130d1468eee14c57fcd1a0bdf7198f931'
const PASSPHRASE_SHA512 = 'b1f6c38fb2c38ee922ffe177044a4078629dd993296a88eb27e4fedf5908e705'

const accepted: [what: string, content: string | Uint8Array, source: Overrides, key: string][] = [
  ['32 hex digits', K16, {}, K16],
  ['0x before the digits', `0x${K16}`, {}, K16],
  ['capital digits', K16.toUpperCase(), {}, K16],
  ['a newline after the digits', `${K16}\n`, {}, K16],
  ['anything after white space', `${K16} comment`, {}, K16],
  ['64 hex digits', `0x${K32}\n`, { keyBits: 256 }, K32],
  ['16 bytes', Buffer.from(K16, 'hex'), { material: BINARY }, K16],
  ['32 bytes', Buffer.from(K32, 'hex'), { material: BINARY, keyBits: 256 }, K32],
  ['PBKDF2, 128 bits', `${PASSPHRASE}\n`, { material: PBKDF2 }, PASSPHRASE_PBKDF2.slice(0, 32)],
  ['PBKDF2, 256 bits', `${PASSPHRASE}\n`, { material: PBKDF2, keyBits: 256 }, PASSPHRASE_PBKDF2],
  ['SHA-512, 128 bits', `${PASSPHRASE}\n`, { material: SHA512 }, PASSPHRASE_SHA512.slice(0, 32)],
  ['SHA-512, 256 bits', `${PASSPHRASE}\n`, { material: SHA512, keyBits: 256 }, PASSPHRASE_SHA512],
]
for (const [what, content, overrides, key] of accepted) {
  test(`readStateKey() takes ${what}`, () => {
    assert.equal(readStateKey(fromFile(fileWith(content), overrides)).toString('hex'), key)
  })
}

test('the newline belongs to the passphrase', () => {
  const read = (content: string) =>
    readStateKey(fromFile(fileWith(content), { material: SHA512 })).toString('hex')
  assert.notEqual(read(PASSPHRASE), read(`${PASSPHRASE}\n`))
})

test('a passphrase may be long', () => {
  const long = 'x'.repeat(5000)
  const key = readStateKey(fromFile(fileWith(long), { material: SHA512 }))
  const expected = execFileSync('sha512sum', { input: long }).toString().slice(0, 32)
  assert.equal(key.toString('hex'), expected)
})

const refused: [what: string, content: string | Uint8Array, source: Overrides, reason: RegExp][] = [
  ['an empty hex key', '', {}, /has 0 hex digits, mode=aes-128-cbc needs exactly 32$/],
  ['a short hex key', K16.slice(2), {}, /has 30 hex digits, mode=aes-128-cbc needs exactly 32$/],
  [
    'a hex key of the other size',
    K16,
    { keyBits: 256 },
    /has 32 hex digits, mode=aes-256-cbc needs exactly 64$/,
  ],
  ['a longer hex key', K32, {}, /has 64 hex digits, mode=aes-128-cbc needs exactly 32$/],
  ['an odd number of digits', `${K16}0`, {}, /has 33 hex digits/],
  [
    'a wrong digit',
    `${K16.slice(1)}g`,
    {},
    /holds something else than hex digits at byte 31; for bytes say format=binary$/,
  ],
  ['white space first', ` ${K16}`, {}, /has 0 hex digits/],
  ['a NUL byte', `${K16}\0`, {}, /at byte 32/],
  [
    'a short binary key',
    Buffer.alloc(15),
    { material: BINARY },
    /has 15 bytes, mode=aes-128-cbc needs exactly 16$/,
  ],
  ['a binary key with a newline', Buffer.alloc(17), { material: BINARY }, /has 17 bytes/],
  [
    '16 bytes for aes-256-cbc',
    Buffer.alloc(16),
    { material: BINARY, keyBits: 256 },
    /has 16 bytes, mode=aes-256-cbc needs exactly 32$/,
  ],
  ['a passphrase without end', Buffer.alloc((1 << 20) + 1), { material: PBKDF2 }, /is longer than 1 MiB$/],
]
for (const [what, content, overrides, reason] of refused) {
  test(`readStateKey() refuses ${what}, and keeps the file`, () => {
    const path = fileWith(content)
    assert.throws(
      () => readStateKey(fromFile(path, { ...overrides, remove: true })),
      (error) =>
        error instanceof SwtpmError &&
        error.code === 'SWTPM_ERR_STATE_KEY' &&
        reason.test(error.message) &&
        error.message.includes(path),
    )
    assert.ok(existsSync(path))
  })
}

test('no error repeats the key', () => {
  const secret = `${K16.slice(2)}zz`
  try {
    readStateKey(fromFile(fileWith(secret), {}))
  } catch (error) {
    assert.ok(!String(error).includes(secret.slice(4, 20)))
    return
  }
  assert.fail('accepted')
})

test('a file that is not there is named with the reason', () => {
  const path = join(folder, 'absent')
  assert.throws(() => readStateKey(fromFile(path, {})), {
    code: 'SWTPM_ERR_STATE_KEY',
    message: `Cannot read key file "${path}": no such file or directory`,
  })
})

test('remove takes the file away once it has been read', () => {
  const path = fileWith(K16)
  readStateKey(fromFile(path, { remove: true }))
  assert.ok(!existsSync(path))
})

test('a file that cannot be removed is a warning, not a failure', () => {
  const warnings: string[] = []
  const source = fromFile('/proc/self/comm', { material: PBKDF2, remove: true })
  assert.equal(readStateKey(source, (text) => warnings.push(text)).length, 16)
  assert.match(
    warnings.join('\n'),
    /^(Warning: Passphrase .*\n)?Cannot remove passphrase file "\/proc\/self\/comm": /,
  )
})

test('a short passphrase is warned about', () => {
  const warnings: string[] = []
  readStateKey(fromFile(fileWith('abc\n'), { material: PBKDF2 }), (text) => warnings.push(text))
  assert.deepEqual(warnings, ['Warning: Passphrase is only 4 bytes long'])
})

test('a descriptor is read from where it stands, and closed', () => {
  const fd = openSync(fileWith(`skipped:${K16}`), 'r')
  readSync(fd, Buffer.alloc(8), 0, 8, null)
  const key = readStateKey({ origin: { kind: 'fd', fd }, material: HEX, keyBits: 128, remove: true })
  assert.equal(key.toString('hex'), K16)
  assert.throws(() => fstatSync(fd), { code: 'EBADF' })
})

test('a descriptor that is not open is named', () => {
  const fd = openSync('/dev/null', 'r')
  closeSync(fd)
  assert.throws(
    () => readStateKey({ origin: { kind: 'fd', fd }, material: PBKDF2, keyBits: 128, remove: false }),
    {
      message: `Cannot read passphrase descriptor ${fd}: bad file descriptor`,
    },
  )
})

test('a pipe is read to its end, though it brings the passphrase in pieces', () => {
  const path = join(folder, 'fifo')
  execFileSync('mkfifo', [path])
  const writer = `(printf 'secret '; sleep 0.2; printf 'passphrase\\n') > '${path}' &`
  spawnSync('sh', ['-c', writer], { stdio: 'ignore' })
  const key = readStateKey(fromFile(path, { material: PBKDF2, keyBits: 256 }))
  assert.equal(key.toString('hex'), PASSPHRASE_PBKDF2)
})
