import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KernelLog, type LogRecord, logLine } from '../../../src/machine/kernel-log.ts'

function read(...chunks: string[]): LogRecord[] {
  const records: LogRecord[] = []
  const log = new KernelLog((record) => records.push(record))
  for (const chunk of chunks) log.add(Buffer.from(chunk))
  return records
}

describe('KernelLog', () => {
  it('reads records that come in pieces, without their dictionaries', () => {
    const records = read(
      '6,339,5140900,-;NET: Regis',
      'tered\n SUBSYSTEM=net\n DEVICE=x\n4,340,',
      '5140901,c;b\n',
    )
    assert.deepEqual(records, [
      { sequence: 339, timeUs: 5140900, level: 6, isKernel: true, text: 'NET: Registered' },
      { sequence: 340, timeUs: 5140901, level: 4, isKernel: true, text: 'b' },
    ])
    assert.equal(logLine(records[0]!), '[    5.140900] NET: Registered\n')
  })

  it('knows what a program has written', () => {
    assert.equal(read('12,1,0,-;BUG: of a program\n')[0]?.isKernel, false)
  })

  it('gives each record once when the guest begins anew', () => {
    const records = read('6,1,0,-;a\n6,2,0,-;b\n', '6,1,0,-;a\n6,2,0,-;b\n6,3,0,-;c\n')
    assert.deepEqual(
      records.map(({ text }) => text),
      ['a', 'b', 'c'],
    )
  })

  it('takes bytes that are not printable for what they are', () => {
    assert.equal(read('6,1,0,-;a\\x0ab \\xc3\\xa9\n')[0]?.text, 'a\nb é')
  })
})
