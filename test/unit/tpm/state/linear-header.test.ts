import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  LINEAR_HEADER_BYTES,
  linearHeader,
  placeBeside,
  readLinearHeader,
  type Slot,
} from '../../../../src/tpm/state/linear/linear-header.ts'

const slot = (offset: number, dataBytes: number, sectionBytes = dataBytes): Slot => ({
  ...{ offset, dataBytes, sectionBytes },
})
const NONE = slot(0, 0)

test('a header is read as it was written', () => {
  const slots = [slot(512, 700, 1024), NONE, slot(1536, 5, 8)]
  const header = readLinearHeader(linearHeader(slots))
  assert.equal(header.kind, 'state')
  assert.deepEqual('slots' in header && header.slots.slice(0, 3), slots)
})

test('what is no header is told apart', () => {
  const header = linearHeader([])
  assert.equal(readLinearHeader(Buffer.alloc(0)).kind, 'empty')
  assert.equal(readLinearHeader(Buffer.alloc(LINEAR_HEADER_BYTES)).kind, 'empty')
  assert.equal(readLinearHeader(Buffer.from('text')).kind, 'foreign')
  assert.equal(readLinearHeader(Buffer.alloc(LINEAR_HEADER_BYTES, 'x')).kind, 'foreign')
  const damaged = Buffer.from(header)
  damaged[0] = 0
  assert.equal(readLinearHeader(damaged).kind, 'damaged')
})

test('new blobs go where the old ones are not, at the beginning of sectors', () => {
  const limit = 64 * 1024
  assert.deepEqual(placeBeside([], [1000, 0, 10], limit), [slot(512, 1000, 1024), NONE, slot(1536, 10, 16)])
  const old = [slot(512, 1000), NONE, slot(4096, 100)]
  assert.deepEqual(placeBeside(old, [2048, 0, 600], limit), [
    slot(1536, 2048, 3072),
    NONE,
    slot(4608, 600, 1024),
  ])
})

test('without room for both there is no place', () => {
  const old = [slot(512, 1000)]
  assert.equal(placeBeside(old, [1000, 0, 0], 2048), undefined)
  assert.deepEqual(placeBeside(old, [1000, 0, 0], 2536), [slot(1536, 1000, 1000), NONE, NONE])
})
