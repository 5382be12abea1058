import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { native } from '../../../../src/system/native/load.ts'
import { inOtherProcess, owned, temporaryFolder } from './fixtures.ts'

const EAGAIN = -11
const EBADF = -9

function lockFilePath(t: TestContext): string {
  return join(temporaryFolder(t), '.lock')
}

/** What another process is told when it tries. */
function tryElsewhere(path: string): { lock: number; holder: number } {
  const script = `const fd = require('fs').openSync(args[0], 'r+');
    const holder = native.lockHolder(fd);
    console.log(JSON.stringify({ lock: native.lockFile(fd), holder }))`
  return inOtherProcess(script, path) as { lock: number; holder: number }
}

test('a locked file cannot be locked by another process, which learns the holder', (t) => {
  const path = lockFilePath(t)
  const fd = owned(t, openSync(path, 'w'))
  assert.equal(native.lockFile(fd), 0)
  assert.deepEqual(tryElsewhere(path), { lock: EAGAIN, holder: process.pid })
})

test('the lock is free again after unlockFile()', (t) => {
  const path = lockFilePath(t)
  const fd = owned(t, openSync(path, 'w'))
  native.lockFile(fd)
  assert.equal(native.unlockFile(fd), 0)
  assert.deepEqual(tryElsewhere(path), { lock: 0, holder: 0 })
})

test('the lock is free again when its process ends', (t) => {
  const path = lockFilePath(t)
  const fd = owned(t, openSync(path, 'w'))
  assert.equal(tryElsewhere(path).lock, 0)
  assert.equal(native.lockFile(fd), 0)
})

test('closing any descriptor of the file drops the lock, as POSIX has it', (t) => {
  const path = lockFilePath(t)
  const fd = owned(t, openSync(path, 'w'))
  native.lockFile(fd)
  closeSync(openSync(path, 'r'))
  assert.deepEqual(tryElsewhere(path), { lock: 0, holder: 0 })
})

test('one process may lock twice and does not see itself as the holder', (t) => {
  const path = lockFilePath(t)
  const fd = owned(t, openSync(path, 'w'))
  assert.equal(native.lockFile(fd), 0)
  assert.equal(native.lockFile(fd), 0)
  assert.equal(native.lockHolder(fd), 0)
})

test('a descriptor that is not open for writing cannot lock', (t) => {
  const path = lockFilePath(t)
  owned(t, openSync(path, 'w'))
  const reader = owned(t, openSync(path, 'r'))
  assert.equal(native.lockFile(reader), EBADF)
  assert.equal(native.lockFile(-1), EBADF)
  assert.equal(native.unlockFile(-1), EBADF)
  assert.equal(native.lockHolder(-1), EBADF)
})
