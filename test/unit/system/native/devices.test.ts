import assert from 'node:assert/strict'
import { closeSync, openSync, symlinkSync } from 'node:fs'
import { test } from 'node:test'
import { native } from '../../../../src/system/native/load.ts'
import { temporaryFolder } from './fixtures.ts'

const ENOENT = -2
const EBADF = -9
const ENODEV = -19

test('deviceNumbers() gives the numbers of a character device, and follows no link', (t) => {
  const dev = openSync('/dev', 'r')
  t.after(() => closeSync(dev))
  assert.deepEqual(native.deviceNumbers(dev, 'null'), [1, 3])
  assert.equal(native.deviceNumbers(dev, 'no such device'), ENOENT)
  const path = temporaryFolder(t)
  symlinkSync('/dev/null', `${path}/link`)
  const folder = openSync(path, 'r')
  t.after(() => closeSync(folder))
  for (const name of ['.', 'link']) assert.equal(native.deviceNumbers(folder, name), ENODEV)
})

test('isHungUp() tells whether the other side has gone, and reads nothing', (t) => {
  const [ours, theirs] = native.socketPair() as [number, number]
  t.after(() => closeSync(ours))
  native.sendMessage(theirs, Buffer.from('x'), 0, 1, [])
  assert.equal(native.isHungUp(ours), 0)
  closeSync(theirs)
  assert.equal(native.isHungUp(ours), 1)
  const byte = Buffer.alloc(2)
  assert.equal(native.receiveMessage(ours, byte, 0, 2, []), 1)
  assert.equal(native.isHungUp(-1), EBADF)
})
