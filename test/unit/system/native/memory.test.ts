import assert from 'node:assert/strict'
import { fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { check } from '../../../../src/system/native/check.ts'
import { native } from '../../../../src/system/native/load.ts'
import { isCloseOnExec, owned } from './fixtures.ts'

test('sharedMemory() has the size asked for, holds what is written, and is close-on-exec', (t) => {
  const fd = owned(t, check(native.sharedMemory(8192), 'make shared memory'))
  assert.equal(fstatSync(fd).size, 8192)
  assert.ok(isCloseOnExec(fd))
  writeSync(fd, 'content', 4096)
  const bytes = Buffer.alloc(7)
  readSync(fd, bytes, 0, 7, 4096)
  assert.equal(bytes.toString(), 'content')
})

test('sharedMemory() cannot be resized, so a process that has it mapped cannot be killed by that', (t) => {
  const fd = owned(t, check(native.sharedMemory(8192), 'make shared memory'))
  assert.throws(() => ftruncateSync(fd, 0), { code: 'EPERM' })
  assert.throws(() => ftruncateSync(fd, 16384), { code: 'EPERM' })
})
