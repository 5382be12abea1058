import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { check, SystemError } from '../../../../src/system/native/check.ts'
import { native } from '../../../../src/system/native/load.ts'
import { owned, temporaryFolder } from './fixtures.ts'

test('check() passes results on', () => {
  assert.equal(check(0, 'do nothing'), 0)
  assert.equal(check(42, 'count'), 42)
  const pair: [number, number] | number = [3, 4] as [number, number] | number
  const [first, second] = check(pair, 'make a pair')
  assert.deepEqual([first, second], [3, 4])
})

test('check() makes errors as Node makes them', () => {
  assert.throws(() => check(-98, 'listen on "/run/x"'), {
    name: 'SystemError',
    message: 'Cannot listen on "/run/x": address already in use',
    code: 'EADDRINUSE',
    errno: -98,
    syscall: 'listen',
  })
})

test('an errno of a real failure is named', (t) => {
  const path = join(temporaryFolder(t), 'ctrl')
  owned(t, check(native.listenUnix(path, 0o600, 1), `listen on "${path}"`))
  assert.throws(() => check(native.listenUnix(path, 0o600, 1), `listen on "${path}"`), SystemError)
})

test('errnos that libuv has no text for are named, and unknown ones numbered', () => {
  assert.equal(new SystemError(-74, 'read').message, 'Cannot read: system error EBADMSG')
  assert.equal(new SystemError(-4000, 'read').message, 'Cannot read: system error 4000')
})
