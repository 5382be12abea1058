import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { FramedChannel } from '../../../../src/programs/swtpm_setup/framed-channel.ts'

/** A stream whose other end is the test. */
function pair(onRequest: (request: Buffer, answer: (chunk: Buffer | null) => void) => void): Duplex {
  const stream: Duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      onRequest(chunk, (part) => (part === null ? stream.destroy() : stream.push(part)))
      done()
    },
  })
  return stream
}

const oneByteLength = (received: Buffer): number | undefined => received[0]

test('a reply in pieces comes whole, what follows it waits for the next exchange', async () => {
  const channel = new FramedChannel(
    pair((request, answer) => {
      if (request[0] !== 1) return
      answer(Buffer.from([3]))
      setImmediate(() => answer(Buffer.from([7, 8, 2, 9])))
    }),
  )
  assert.deepEqual([...(await channel.exchange(Buffer.from([1]), oneByteLength, 1000))], [3, 7, 8])
  assert.deepEqual([...(await channel.exchange(Buffer.from([0]), oneByteLength, 1000))], [2, 9])
})

test('a connection that closes in the middle of a reply is a fault', async () => {
  const channel = new FramedChannel(
    pair((_, answer) => {
      answer(Buffer.from([3, 1]))
      setImmediate(() => answer(null))
    }),
  )
  await assert.rejects(channel.exchange(Buffer.from([1]), oneByteLength, 1000), /it closed the connection/)
})

test('silence ends at the time limit', async () => {
  const channel = new FramedChannel(pair(() => {}))
  const keepAlive = setTimeout(() => {}, 1000)
  await assert.rejects(
    channel.exchange(Buffer.from([1]), oneByteLength, 20),
    /no answer from swtpm within 0.02 seconds/,
  )
  clearTimeout(keepAlive)
})
