/** What every test in this folder relies on: that the guest is what it is meant to be. */
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'

test('the guest runs a kernel of Debian', () => {
  assert.match(readFileSync('/proc/version', 'utf8'), /^Linux version 6\.(1|12)\..*[Dd]ebian/)
})

test('the tests run as root', () => {
  assert.equal(process.getuid?.(), 0)
})

for (const device of ['/dev/cuse', '/dev/vtpmx']) {
  test(`${device} is there`, () => {
    assert.ok(statSync(device).isCharacterDevice())
  })
}

test('the loopback interface is up', async () => {
  const server = createServer((socket) => socket.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  const chunks: Buffer[] = []
  for await (const chunk of connect(address.port, '127.0.0.1')) chunks.push(chunk)
  server.close()
  assert.equal(Buffer.concat(chunks).toString(), 'hello')
})

test('the project may be written to, and the writes stay in the guest', () => {
  const file = `${__dirname}/written-by-the-guest`
  writeFileSync(file, 'nobody will see this')
  assert.equal(readFileSync(file, 'utf8'), 'nobody will see this')
})
