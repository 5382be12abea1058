/** The plain path costs what it did: counts, and time by the instruction clock, against recorded figures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BY_CLOCK,
  COUNTED,
  countedName,
  countPlainPath,
  type Figures,
  measureByInstructionClock,
  recorded,
} from './recorded.ts'

const TOLERANCE = 0.1

function assertNoWorse(now: Figures, name: string, say: (text: string) => void): void {
  for (const [what, before] of Object.entries(recorded(name))) {
    const value = now[what] as number
    const change = `${name}: ${what} ${before} recorded, ${value} now`
    assert.ok(value <= before * (1 + TOLERANCE), change)
    if (value < before * (1 - TOLERANCE)) say(`${change}; keep it that way: npm run bench -- --record`)
  }
}

for (const command of COUNTED) {
  const name = countedName(command)
  test(`${name}, takes no more than recorded`, async (t) => {
    assertNoWorse(await countPlainPath(t, command), name, (text) => t.diagnostic(text))
  })
}

test('by the instruction clock, GetRandom takes no more than recorded', async (t) => {
  const figures = await measureByInstructionClock()
  for (const { name } of BY_CLOCK) assertNoWorse(figures[name] ?? {}, name, (text) => t.diagnostic(text))
})
