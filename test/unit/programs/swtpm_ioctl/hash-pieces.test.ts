import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pieces } from '../../../../src/programs/swtpm_ioctl/hash.ts'

async function sizes(...chunks: readonly number[]): Promise<number[]> {
  const result: number[] = []
  for await (const piece of pieces(chunks.map((size) => Buffer.alloc(size)))) result.push(piece.length)
  return result
}

describe('pieces()', () => {
  it('fills each piece but the last, however the data come', async () => {
    assert.deepEqual(await sizes(), [])
    assert.deepEqual(await sizes(0), [])
    assert.deepEqual(await sizes(10), [10])
    assert.deepEqual(await sizes(4096), [4096])
    assert.deepEqual(await sizes(4097), [4096, 1])
    assert.deepEqual(await sizes(4000, 4000, 4000), [4096, 4096, 3808])
    assert.deepEqual(await sizes(1, 65536), [...Array(16).fill(4096), 1])
  })
})
