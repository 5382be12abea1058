import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Outcome, Request, VerbName } from '../../../contract/verbs.ts'
import { SocketClient } from '../../../src/ptm-client/socket-client.ts'
import { answering, FakeControlServer, hex, type Reaction } from './fake-control-server.ts'

const TIMEOUT_MS = 5000

async function connected(t: TestContext, react: Reaction, timeoutMs = TIMEOUT_MS) {
  const server = await FakeControlServer.start(react)
  t.after(() => server.close())
  const client = await SocketClient.connect({ kind: 'unix', path: server.path }, timeoutMs)
  t.after(() => client.close())
  return { server, client }
}

interface Case<V extends VerbName = VerbName> {
  verb: V
  request: Request<V>
  /** Code and request as they go over the wire, and the answer. */
  sent: string
  answer: string
  outcome: Outcome<V>
}

const row = <V extends VerbName>(entry: Case<V>): Case => entry as unknown as Case
const success = { tpmResult: 0 }
const OK = '00000000'

const cases: readonly Case[] = [
  row({
    verb: 'GET_CAPABILITY',
    request: {},
    sent: '00000001',
    answer: `${OK} 0001ffff`,
    outcome: { caps: 0x1ffffn },
  }),
  row({ verb: 'INIT', request: { initFlags: 1 }, sent: '00000002 00000001', answer: OK, outcome: success }),
  row({ verb: 'SHUTDOWN', request: {}, sent: '00000003', answer: OK, outcome: success }),
  row({
    verb: 'GET_TPMESTABLISHED',
    request: {},
    sent: '00000004',
    answer: `${OK} 01 000000`,
    outcome: { tpmResult: 0, bit: 1 },
  }),
  row({ verb: 'SET_LOCALITY', request: { loc: 3 }, sent: '00000005 03', answer: OK, outcome: success }),
  row({ verb: 'HASH_START', request: {}, sent: '00000006', answer: OK, outcome: success }),
  row({
    verb: 'HASH_DATA',
    request: { length: 4, data: Buffer.from('1234') },
    sent: '00000007 00000004 31323334',
    answer: OK,
    outcome: success,
  }),
  row({ verb: 'HASH_END', request: {}, sent: '00000008', answer: OK, outcome: success }),
  row({ verb: 'CANCEL_TPM_CMD', request: {}, sent: '00000009', answer: OK, outcome: success }),
  row({ verb: 'STORE_VOLATILE', request: {}, sent: '0000000a', answer: OK, outcome: success }),
  row({
    verb: 'RESET_TPMESTABLISHED',
    request: { loc: 4 },
    sent: '0000000b 04',
    answer: OK,
    outcome: success,
  }),
  row({
    verb: 'GET_STATEBLOB',
    request: { stateFlags: 1, type: 2, offset: 0 },
    sent: '0000000c 00000001 00000002 00000000',
    answer: `${OK} 00000002 00000003 00000003 aabbcc`,
    outcome: { tpmResult: 0, stateFlags: 2, totLength: 3, length: 3, data: hex('aabbcc') },
  }),
  row({
    verb: 'SET_STATEBLOB',
    request: { stateFlags: 0, type: 1, length: 2, data: hex('beef') },
    sent: '0000000d 00000000 00000001 00000002 beef',
    answer: OK,
    outcome: success,
  }),
  row({ verb: 'STOP', request: {}, sent: '0000000e', answer: OK, outcome: success }),
  row({
    verb: 'GET_CONFIG',
    request: {},
    sent: '0000000f',
    answer: `${OK} 00000003`,
    outcome: { tpmResult: 0, flags: 3 },
  }),
  row({
    verb: 'SET_BUFFERSIZE',
    request: { bufferSize: 4000 },
    sent: '00000011 00000fa0',
    answer: `${OK} 00000fa0 00000af8 00001000`,
    outcome: { tpmResult: 0, bufferSize: 4000, minSize: 2808, maxSize: 4096 },
  }),
  row({
    verb: 'GET_INFO',
    request: { flags: 0x80n, offset: 5, pad: 0 },
    sent: '00000012 0000000000000080 00000005 00000000',
    answer: `${OK} 00000008 00000003 7b7d00`,
    outcome: { tpmResult: 0, totLength: 8, length: 3, buffer: hex('7b7d00') },
  }),
  row({
    verb: 'LOCK_STORAGE',
    request: { retries: 300 },
    sent: '00000013 0000012c',
    answer: OK,
    outcome: success,
  }),
]

describe('SocketClient.call()', () => {
  for (const { verb, request, sent, answer, outcome } of cases) {
    it(`sends and understands ${verb}`, async (t) => {
      const { server, client } = await connected(t, answering(answer))
      assert.deepEqual(await client.call(verb, request), outcome)
      assert.equal(server.bytes, sent.replaceAll(' ', ''))
    })

    it(`takes the four bytes of a failed ${verb} for the whole answer`, async (t) => {
      const { client } = await connected(t, answering('0000000a'))
      assert.deepEqual(await client.call(verb, request), { tpmResult: 0x0a })
    })
  }

  it('takes an answer byte by byte', async (t) => {
    const { client } = await connected(t, (socket) => {
      socket.setNoDelay(true)
      const bytes = hex(`${OK} 00000000 00000004 00000004 01020304`)
      const writeNext = (at: number): void => {
        if (at === bytes.length || socket.destroyed) return
        socket.write(bytes.subarray(at, at + 1), () => setImmediate(writeNext, at + 1))
      }
      writeNext(0)
    })
    const outcome = await client.call('GET_STATEBLOB', { stateFlags: 1, type: 1, offset: 0 })
    assert.deepEqual('data' in outcome && outcome.data, hex('01020304'))
  })

  it('is not confused by what the C swtpm sends behind the result of a failed GET_STATEBLOB', async (t) => {
    const { client } = await connected(t, answering('00000800 00000000 00000000 00000000', `${OK} 00000001`))
    assert.deepEqual(await client.call('GET_STATEBLOB', { stateFlags: 1, type: 3, offset: 0 }), {
      tpmResult: 0x800,
    })
    assert.deepEqual(await client.call('GET_CONFIG', {}), { tpmResult: 0, flags: 1 })
  })

  it('gives up when no answer comes, and says how long it waited', async (t) => {
    const { server, client } = await connected(t, () => {}, 50)
    await assert.rejects(client.call('STOP', {}), {
      code: 'SWTPM_ERR_SOCKET',
      message:
        `Could not execute PTM_STOP: no answer from Unix socket "${server.path}" within 0.05 s; ` +
        'it may be busy with a TPM command or with another client',
    })
  })

  it('gives up when half an answer comes', async (t) => {
    const { client } = await connected(t, answering(`${OK} 00`), 50)
    await assert.rejects(client.call('GET_CONFIG', {}), /no answer .* within/)
  })

  it('waits longer where the verb may take longer', async (t) => {
    const { client } = await connected(t, (socket) => void setTimeout(() => socket.write(hex(OK)), 100), 20)
    assert.deepEqual(await client.call('LOCK_STORAGE', { retries: 300 }, 3000), { tpmResult: 0 })
  })

  it('says that the server closed the connection', async (t) => {
    const { client } = await connected(t, (socket) => void socket.destroy())
    await assert.rejects(client.call('INIT', { initFlags: 0 }), {
      code: 'SWTPM_ERR_SOCKET',
      message: /^Could not execute PTM_INIT: no answer from .*: it closed the connection$/,
    })
  })

  it('refuses a length that no answer has', async (t) => {
    const { client } = await connected(t, answering(`${OK} 00000000 ffffffff ffffffff`))
    await assert.rejects(
      client.call('GET_STATEBLOB', { stateFlags: 1, type: 1, offset: 0 }),
      /announces 4294967295 bytes/,
    )
  })
})

describe('SocketClient.connect()', () => {
  it('names a path where nothing is, and asks the likely question', async () => {
    await assert.rejects(SocketClient.connect({ kind: 'unix', path: '/nowhere/ctrl' }, TIMEOUT_MS), {
      code: 'SWTPM_ERR_SOCKET',
      message:
        'Could not connect to Unix socket "/nowhere/ctrl": there is no such file; ' +
        'has swtpm been started with this path?',
    })
  })

  it('names a port without a listener', async (t) => {
    const server = await FakeControlServer.start(() => {})
    t.after(() => server.close())
    await assert.rejects(
      SocketClient.connect({ kind: 'tcp', host: '127.0.0.1', port: 1 }, TIMEOUT_MS),
      /^SwtpmError: Could not connect to TCP port 127\.0\.0\.1:1: connection refused; /,
    )
  })

  it('refuses a path that does not fit into a socket address', async () => {
    await assert.rejects(SocketClient.connect({ kind: 'unix', path: `/${'x'.repeat(107)}` }, TIMEOUT_MS), {
      message: /^Socket path is too long: /,
    })
  })
})
