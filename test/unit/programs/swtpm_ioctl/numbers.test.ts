import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  parseBufferSize,
  parseInfoFlags,
  parseLocality,
  parseUint32,
} from '../../../../src/programs/swtpm_ioctl/numbers.ts'
import { answerTimeoutMs } from '../../../../src/ptm-client/connect-ptm.ts'

describe('numbers of swtpm_ioctl', () => {
  it('reads flags as strtoul() does, up to 64 bits', () => {
    assert.equal(parseInfoFlags('7'), 7n)
    assert.equal(parseInfoFlags('0'), 0n)
    assert.equal(parseInfoFlags('0x8F'), 0x8fn)
    assert.equal(parseInfoFlags('020'), 16n)
    assert.equal(parseInfoFlags('0xffffffffffffffff'), 0xffff_ffff_ffff_ffffn)
  })

  for (const text of ['', 'x', '1x', '08', '-1', '0x', '1.5']) {
    it(`refuses the flags '${text}'`, () =>
      assert.throws(() => parseInfoFlags(text), /^ToolFailure: Cannot parse info flags/))
  }

  it('knows the localities', () => {
    assert.deepEqual(['0', '1', '2', '3', '4'].map(parseLocality), [0, 1, 2, 3, 4])
    assert.throws(() => parseLocality('5'), { message: 'Locality outside valid range of [0..4].' })
    assert.throws(() => parseLocality('a'), { message: 'Could not get locality number from a.' })
    assert.throws(() => parseLocality('-1'), { message: 'Could not get locality number from -1.' })
  })

  it('keeps to 32 bits', () => {
    assert.equal(parseUint32('4294967295', 'no'), 0xffff_ffff)
    assert.throws(() => parseUint32('4294967296', 'no'), { message: 'no' })
  })

  it('has a piece of one byte for a SWTPM_IOCTL_BUFFERSIZE that is no number', () => {
    assert.equal(parseBufferSize(undefined), undefined)
    assert.equal(parseBufferSize('100'), 100)
    assert.equal(parseBufferSize('0'), 1)
    assert.equal(parseBufferSize('many'), 1)
    assert.equal(parseBufferSize('99999999999'), 1024 * 1024)
  })

  it('lets the user say how long to wait', () => {
    assert.equal(answerTimeoutMs('socket', undefined), 20_000)
    assert.equal(answerTimeoutMs('device', ''), 60_000)
    assert.equal(answerTimeoutMs('device', '1.5'), 1500)
    assert.equal(answerTimeoutMs('socket', '-1'), 20_000)
    assert.equal(answerTimeoutMs('socket', '1e99'), 0x7fff_ffff)
  })
})
