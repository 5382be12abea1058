import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BIG, HOST, LITTLE, packed, struct, trailing, u8, u16, u32, u64 } from '../../../contract/struct.ts'

const little = { ...HOST, littleEndian: true }

describe('struct()', () => {
  it('aligns fields and pads the tail as a C compiler does', () => {
    const type = struct({ a: u8, b: u32, c: u16 })
    assert.equal(type.size, 12)
    assert.equal(type.align, 4)
    assert.deepEqual(
      type.encode({ a: 1, b: 2, c: 3 }, BIG),
      Buffer.from(['01 000000', '00000002', '0003 0000'].join('').replace(/ /g, ''), 'hex'),
    )
  })

  it('reads what it has written in either byte order', () => {
    const type = struct({ a: u8, b: u64, c: u32 })
    const value = { a: 0xff, b: 0xfedcba9876543210n, c: 0x80000001 }
    for (const layout of [BIG, LITTLE, little])
      assert.deepEqual(type.decode(type.encode(value, layout), layout), value)
  })

  it('packed() leaves no gaps', () => {
    assert.equal(packed({ a: u8, b: u32, c: u64 }).size, 13)
  })

  it('decode() refuses bytes that are too short', () => {
    assert.throws(() => struct({ a: u32 }).decode(Buffer.alloc(3), BIG), /4 bytes does not fit into 3/)
  })
})

describe('trailing()', () => {
  const type = struct({ length: u32, data: trailing(8) })

  it('takes its whole capacity where a layout says so, and its bytes alone elsewhere', () => {
    const value = { length: 2, data: Buffer.from('ab') }
    assert.equal(type.encode(value, little).toString('hex'), '020000006162000000000000')
    assert.equal(type.encode(value, BIG).toString('hex'), '000000026162')
    assert.equal(type.decode(Buffer.alloc(12), little).data.length, 8)
    assert.equal(type.decode(Buffer.alloc(6), BIG).data.length, 2)
  })

  it('may be longer than its capacity only where it is not laid out in full', () => {
    const value = { length: 9, data: Buffer.alloc(9) }
    assert.equal(type.encode(value, BIG).length, 13)
    assert.throws(() => type.encode(value, little), /9 bytes do not fit into 8/)
  })

  it('must be the last field', () => {
    assert.throws(() => struct({ data: trailing(8), length: u32 }).size, /behind a trailing array/)
  })
})
