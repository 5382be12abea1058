import assert from 'node:assert/strict'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  removeLeftovers,
  writeFileAtomic,
  writeNewFile,
} from '../../../../src/programs/common/atomic-file.ts'
import { temporaryFolder } from '../swtpm_setup/fixtures.ts'

test('a file has its content and its mode, whatever was there and whatever the umask', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'key.pem')
  writeFileSync(path, 'old', { mode: 0o666 })
  const before = process.umask(0)
  t.after(() => process.umask(before))
  writeFileAtomic(path, 'new', 0o600)
  assert.equal(readFileSync(path, 'utf8'), 'new')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(folder), ['key.pem'])
})

test('a symbolic link is refused and its target left alone', (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'target'), 'precious')
  symlinkSync('target', join(folder, 'link'))
  assert.throws(() => writeFileAtomic(join(folder, 'link'), 'x', 0o600), { code: 'ELOOP' })
  assert.equal(readFileSync(join(folder, 'target'), 'utf8'), 'precious')
})

test('a device is written, not replaced', () => {
  writeFileAtomic('/dev/null', 'x', 0o600)
  assert.ok(statSync('/dev/null').isCharacterDevice())
})

test('a new file never takes the place of another', (t) => {
  const folder = temporaryFolder(t)
  writeNewFile(join(folder, 'key.pem'), 'first', 0o600)
  symlinkSync('nowhere', join(folder, 'link'))
  for (const name of ['key.pem', 'link']) {
    assert.throws(() => writeNewFile(join(folder, name), 'second', 0o600), { code: 'EEXIST' })
  }
  assert.equal(readFileSync(join(folder, 'key.pem'), 'utf8'), 'first')
  assert.deepEqual(readdirSync(folder).sort(), ['key.pem', 'link'])
})

test('what a killed process has left of a file is removed, and nothing else', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'key.pem')
  const [recent, old] = ['.key.pem.0123456789ab', '.key.pem.ba9876543210']
  const others = [
    '.key.pem.0123456789abc',
    '.key.pem.backup',
    '.other.pem.0123456789ab',
    'key.pem.0123456789ab',
  ]
  for (const name of [recent, old, ...others]) writeFileSync(join(folder, name), '')
  const hourAgo = Date.now() / 1000 - 3601
  for (const name of [old, ...others]) utimesSync(join(folder, name), hourAgo, hourAgo)
  mkdirSync(join(folder, '.key.pem.000000000000'))
  symlinkSync(path, join(folder, '.key.pem.000000000001'))
  const stay = ['.key.pem.000000000000', '.key.pem.000000000001', ...others, 'key.pem'].sort()
  writeFileAtomic(path, 'new', 0o600)
  assert.deepEqual(readdirSync(folder).sort(), [...stay, recent].sort(), 'another process may be writing')
  removeLeftovers([path, '/no/such/folder/file'])
  assert.deepEqual(readdirSync(folder).sort(), stay)
})
