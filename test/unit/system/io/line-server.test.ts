/** Clients that send lines. */
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { LineServer } from '../../../../src/system/io/line-server.ts'
import { check } from '../../../../src/system/native/check.ts'
import { native } from '../../../../src/system/native/load.ts'
import { connectUnix } from '../../../support/connect-unix.ts'
import { temporaryDirectory } from '../../../support/swtpm.ts'

it('one is read from no further while many of its lines wait', async (t) => {
  const path = join(temporaryDirectory(t), 'lines')
  const waiting: (() => void)[] = []
  const server = new LineServer(check(native.listenUnix(path, 0o600, 1), 'listen'), {
    maxLineBytes: 100,
    serve: () => ({
      line: () => new Promise((resolve) => waiting.push(() => resolve('done'))),
      tooLong: () => 'too long',
    }),
  })
  const client = connectUnix(path)
  t.after(() => {
    server.close()
    closeSync(client)
  })
  const requests = Buffer.from('{"verb":"list"}\n'.repeat(1024))
  let taken = 0
  // Until the kernel has taken nothing for a while. Now and then a request is answered.
  for (let full = 0; full < 400; full++) {
    const n = native.sendMessage(client, requests, 0, requests.length, [])
    if (n > 0) {
      taken += n
      full = 0
    } else if (full % 10 === 0) waiting.shift()?.()
    assert.ok(taken < 2 ** 20, `${taken} bytes`)
    await turn()
  }
})
