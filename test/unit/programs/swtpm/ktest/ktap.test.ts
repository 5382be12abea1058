import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MachineFault } from '../../../../../src/machine/machine-fault.ts'
import type { MachineEnd } from '../../../../../src/programs/swtpm/ktest/machine-run.ts'
import { ktapHeader, ktapLine, ktapTotals } from '../../../../../src/programs/swtpm/ktest/suite/ktap.ts'
import { notOk, OK, skipped } from '../../../../../src/programs/swtpm/ktest/suite/row.ts'
import { judgeRows } from '../../../../../src/programs/swtpm/ktest/suite/run-suite.ts'

it('KTAP names the fix that is missing', () => {
  assert.equal(ktapHeader(3), 'KTAP version 1\n1..3\n')
  assert.equal(ktapLine(1, 'a', 'tpm: A', OK), 'ok 1 a\n')
  assert.equal(
    ktapLine(2, 'b', 'tpm: B', notOk('EIO\n  of it')),
    '# b: EIO of it\nnot ok 2 b # missing: tpm: B\n',
  )
  assert.equal(ktapLine(3, 'c', 'tpm: C', skipped('no keys')), 'ok 3 c # SKIP no keys\n')
  assert.equal(
    ktapTotals([OK, notOk('x'), skipped('y')]),
    '# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0\n',
  )
})

it('a machine that dies costs the row that it has died of, and another judges the rest', async () => {
  const rows = ['a', 'b', 'c', 'd'].map((name) => ({ name, fix: name }))
  const asked: string[][] = []
  const judge = (names: readonly string[], stdout: NodeJS.WritableStream): Promise<MachineEnd> => {
    asked.push([...names])
    const end = { splats: [], log: [] }
    for (const name of names) {
      stdout.write(`${JSON.stringify({ begins: name })}\n`)
      if (name === 'b')
        return Promise.resolve({ ...end, status: undefined, fault: new MachineFault('it died') })
      stdout.write(`${JSON.stringify({ ends: name, verdict: OK })}\n`)
    }
    return Promise.resolve({ ...end, status: 0, fault: undefined })
  }
  const told: string[] = []
  await judgeRows(rows, judge, ({ name }, verdict) => told.push(`${name} ${verdict.outcome}`))
  assert.deepEqual(told, ['a ok', 'b not ok', 'c ok', 'd ok'])
  assert.deepEqual(asked, [
    ['a', 'b', 'c', 'd'],
    ['c', 'd'],
  ])
})
