import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { native } from '../../../../src/system/native.ts'
import { inOtherProcess } from './fixtures.ts'

const EINVAL = -22

test('wipe() overwrites the bytes of the view and no others', () => {
  const whole = Buffer.from('left secret right')
  assert.equal(native.wipe(whole.subarray(5, 11)), 0)
  assert.equal(whole.toString(), 'left \0\0\0\0\0\0 right')
  assert.equal(native.wipe(new Uint8Array(0)), 0)
  assert.equal(native.wipe('text' as unknown as Uint8Array), EINVAL)
})

test('wipe() reaches small typed arrays, which V8 keeps on its own heap', () => {
  const key = Uint8Array.of(1, 2, 3, 4)
  assert.equal(native.wipe(key), 0)
  assert.deepEqual([...key], [0, 0, 0, 0])
})

test('lockPages() keeps the pages in memory', () => {
  const kilobytes = (): number =>
    Number(/VmLck:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1])
  const before = kilobytes()
  const key = Buffer.allocUnsafeSlow(16384)
  assert.equal(native.lockPages(key), 0)
  assert.ok(kilobytes() - before >= 16)
  assert.equal(native.lockPages(Buffer.alloc(0)), 0)
  assert.equal(native.lockPages('text' as unknown as Uint8Array), EINVAL)
})

test('lockPages() keeps the pages out of core dumps', () => {
  // In a process of its own, whose mappings nothing else marks.
  const script = `const count = () => require('fs').readFileSync('/proc/self/smaps', 'utf8').match(/VmFlags:.* dd/g)?.length ?? 0
    const before = count()
    const result = native.lockPages(Buffer.allocUnsafeSlow(1 << 20))
    console.log(JSON.stringify({ result, more: count() > before }))`
  const { more } = inOtherProcess(script) as { more: boolean }
  assert.equal(more, true)
})
