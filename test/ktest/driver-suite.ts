/** `swtpm ktest --suite driver` on a stock kernel: its KTAP, and its verdicts against the table. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runKtest, withoutKernel } from '../support/ktest.ts'
import { EXPECTED, type Outcome } from './driver-expectations.ts'

const LINE = /^(not )?ok (\d+) (\w+)(?: # (SKIP|missing:) (.+))?$/

export async function judgeKernel(series: string): Promise<void> {
  const skip = await withoutKernel(series)
  it(`swtpm ktest --kernel ${series} --suite driver finds what its table says`, { skip }, async () => {
    const { code, stdout, stderr } = await runKtest(['--kernel', series, '--suite', 'driver'])
    const lines = stdout.trim().split('\n')
    assert.equal(lines[0], 'KTAP version 1', stderr)
    const rows = lines.filter((line) => /^(not )?ok /.test(line))
    assert.equal(lines[1], `1..${rows.length}`)
    const found: Record<string, Outcome> = {}
    for (const [at, row] of rows.entries()) {
      const [, not, number, name, word, text = ''] = LINE.exec(row) ?? assert.fail(`no KTAP: ${row}`)
      assert.equal(Number(number), at + 1)
      if (not) assert.equal(word === 'missing:' && text.length > 10, true, `it names no fix: ${row}`)
      found[name!] = not ? 'not ok' : word === 'SKIP' ? 'skip' : 'ok'
    }
    assert.deepEqual(found, EXPECTED[series], stdout)
    const isMissing = Object.values(found).includes('not ok')
    assert.equal(code, isMissing ? 1 : 0)
    assert.match(lines.at(-1) ?? '', /^# Totals: pass:\d+ fail:\d+ xfail:0 xpass:0 skip:\d+ error:0$/)
  })
}
