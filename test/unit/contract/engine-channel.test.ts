import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeFrame, FrameDecoder } from '../../../contract/engine-channel.ts'

describe('FrameDecoder', () => {
  const frames = [encodeFrame(1, 7, 2, Buffer.from('abcd')), encodeFrame(3, 0, 1, Buffer.alloc(0))]
  const stream = Buffer.concat(frames)

  it('cuts a stream that is split at any byte', () => {
    for (let at = 0; at <= stream.length; at++) {
      const decoder = new FrameDecoder()
      const got = [...decoder.push(stream.subarray(0, at)), ...decoder.push(stream.subarray(at))]
      assert.deepEqual(
        got.map(({ kind, id, body }) => [kind, id, body.toString('latin1')]),
        [
          [1, 7, '\0\0\0\x02abcd'],
          [3, 0, '\0\0\0\x01'],
        ],
      )
    }
  })

  it('refuses a frame longer than any', () => {
    const header = Buffer.from('7fffffff0000000100000001', 'hex')
    assert.throws(() => new FrameDecoder().push(header), /a frame of 2147483647 bytes/)
  })
})
