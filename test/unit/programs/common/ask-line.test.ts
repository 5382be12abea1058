/** Asking a program on a Unix socket that may be any program. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { askLine } from '../../../../src/programs/common/ask-line.ts'
import { temporaryDirectory } from '../../../support/swtpm.ts'

const ASKED = { whom: 'the fleet', none: 'none is running there', allowed: 'only its user may' }

/** @param answer what it says; without an end if it is said again and again */
async function answering(t: TestContext, answer: Buffer, { endless = false } = {}): Promise<string> {
  const path = join(temporaryDirectory(t), 'socket')
  const server = createServer((client) => {
    client.on('error', () => {})
    if (!endless) {
      client.end(answer)
      return
    }
    const more = (): void => {
      while (!client.destroyed && client.write(answer));
    }
    client.on('drain', more)
    more()
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(() => server.close())
  return path
}

test('the whole answer, also one in many pieces', async (t) => {
  const path = await answering(t, Buffer.alloc(1024 * 1024, 'a'))
  assert.equal((await askLine(path, 'x', ASKED)).length, 1024 * 1024)
})

test('one that never ends its answer is given up', async (t) => {
  const path = await answering(t, Buffer.alloc(64 * 1024, 'a'), { endless: true })
  await assert.rejects(
    askLine(path, 'x', ASKED),
    /Cannot ask the fleet at .*: it answers with more than \d+ bytes/,
  )
})
