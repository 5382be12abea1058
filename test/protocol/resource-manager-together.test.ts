/** `--resource-manager` together with what decides about commands, writes them down, or keeps them from the disk. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { CMD } from '../support/control-commands.ts'
import { type Connected, connect, connectAll, MANAGED, startManaged } from '../support/managed-tpm.ts'
import { enginePid, nextEngine } from '../support/processes.ts'
import { startWithScriptSocket } from '../support/script-socket.ts'
import { FIRST_VIRTUAL_HANDLE, SAVED_SESSIONS, TRANSIENT, UNKNOWN } from '../support/space-client.ts'
import { bin, type Cleanup, type SocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { tool } from '../support/tools.ts'
import { hex32, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'

type Two = [Connected, Connected]
/** The first key of a client, as traces have it. */
const OWN_KEY = 'obj:ffffff'

describe('a fault', () => {
  it('strikes the client that it meets, whose objects stay, and no other', async (t) => {
    const tpm = await startManaged(t, '--fault', 'ReadPublic#2: rc=RETRY')
    const [one, two] = (await connectAll(t, tpm, 2)) as Two
    const keys = [await one.newKey(), await two.newKey()]
    assert.deepEqual(keys, [FIRST_VIRTUAL_HANDLE, FIRST_VIRTUAL_HANDLE])
    await one.succeed(TPM2.readPublic(FIRST_VIRTUAL_HANDLE))
    assert.equal(await two.code(TPM2.readPublic(FIRST_VIRTUAL_HANDLE)), 0x922)
    for (const client of [one, two]) await client.succeed(TPM2.readPublic(FIRST_VIRTUAL_HANDLE))
  })

  it('that loses the response to a command does not lose what the command has made', async (t) => {
    const tpm = await startManaged(
      t,
      '--fault',
      'StartAuthSession#1: rc=RETRY',
      '--fault',
      'CreatePrimary#1: truncate=12',
    )
    const [one, two] = (await connectAll(t, tpm, 2)) as Two
    // The TPM has not executed it.
    assert.equal(await one.code(TPM2.startPolicySession), 0x922)
    assert.deepEqual(await one.own(), [])
    one.connection.write(TPM2.createPrimaryEcc)
    assert.equal((await one.connection.read(12)).readUInt32BE(6), 0)
    assert.deepEqual(await one.handles(TRANSIENT), [FIRST_VIRTUAL_HANDLE])
    one.connection.close()
    assert.deepEqual(await two.own(), [])
    for (let i = 0; i < 4; i++) await two.newKey()
  })

  it('that hangs up closes the connection that it meets', async (t) => {
    const tpm = await startManaged(t, '--fault', 'PCR_Read#1: hangup')
    const [one, two] = (await connectAll(t, tpm, 2)) as Two
    await one.newSession()
    one.connection.write(TPM2.pcrRead(10))
    assert.equal((await one.connection.readToEnd()).length, 0)
    await two.succeed(TPM2.pcrRead(10))
    assert.deepEqual(await two.handles(SAVED_SESSIONS), [])
    await (await connect(t, tpm)).newSession()
  })

  it('that crashes the engine is a reset for all', async (t) => {
    const tpm = await startManaged(t, '--fault', 'Hash#1: crash')
    const [one, two] = (await connectAll(t, tpm, 2)) as Two
    await two.newKey()
    const engine = await enginePid(tpm.swtpm.pid)
    one.connection.write(
      Buffer.from('800100000018 0000017d 0002 0001 000b 40000007'.replaceAll(' ', ''), 'hex'),
    )
    await nextEngine(tpm.swtpm.pid, engine)
    await Promise.all([one.connection.readToEnd(), two.connection.readToEnd()])
    assert.deepEqual(await (await connect(t, tpm)).own(), [])
  })

  it('can be added and removed while clients are at work', async (t) => {
    const tpm = await startWithScriptSocket(t, MANAGED)
    const clients = await connectAll(t, tpm, 4)
    const stop = new AbortController()
    const work = clients.map(async (client) => {
      let refused = 0
      while (!stop.signal.aborted) if ((await client.code(TPM2.getRandom())) !== 0) refused++
      return refused
    })
    const fault = (...args: string[]) => tool(bin('swtpm'), ['fault', tpm.scriptPath, ...args])
    await fault('add', 'GetRandom#1-8: rc=RETRY')
    await fault('wait', '1')
    await fault('clear')
    stop.abort()
    const refused = (await Promise.all(work)).reduce((sum, count) => sum + count, 0)
    assert.equal(refused, 8)
    for (const client of clients) await client.succeed(TPM2.getRandom())
  })
})

it('--trace has each command of each client with its response, by the handles of the client', async (t) => {
  const path = join(temporaryDirectory(t), 'trace.json')
  const tpm = await startManaged(t, '--trace', `file=${path},json`)
  const clients = await connectAll(t, tpm, 4)
  await Promise.all(
    clients.map(async (client, i) => {
      await client.newKey()
      for (let j = 0; j < 5; j++) {
        await client.succeed(TPM2.readPublic(FIRST_VIRTUAL_HANDLE))
        await client.succeed(TPM2.pcrRead(i))
      }
    }),
  )
  assert.equal(await tpm.swtpm.stop(), 0, tpm.swtpm.stderr)
  const exchanges = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const named = (name: string) => exchanges.filter((exchange) => exchange.name === name)
  assert.equal(named('CreatePrimary').length, 4)
  assert.equal(named('ReadPublic').length, 20)
  assert.equal(named('PCR_Read').length, 20)
  // What is done for the clients beside their commands is not theirs.
  assert.deepEqual([...new Set(exchanges.map(({ name }) => name))].sort(), [
    'CreatePrimary',
    'PCR_Read',
    'ReadPublic',
    'Shutdown',
    'Startup',
  ])
  for (const { handles } of named('ReadPublic')) assert.deepEqual(Object.values(handles), [OWN_KEY])
  for (const { response } of exchanges) assert.equal(response.text, 'SUCCESS')
})

it('--pcap and --record have the same exchanges', async (t) => {
  const directory = temporaryDirectory(t)
  const pcap = join(directory, 'pcap')
  const recording = join(directory, 'recording')
  const tpm = await startManaged(t, '--pcap', `file=${pcap}`, '--record', recording)
  const clients = await connectAll(t, tpm, 3)
  await Promise.all(clients.map(async (client) => client.succeed(TPM2.readPublic(await client.newKey()))))
  assert.equal(await tpm.swtpm.stop(), 0, tpm.swtpm.stderr)
  for (const file of [pcap, recording]) {
    const text = await tool(bin('swtpm'), ['trace', file])
    assert.equal(text.match(/ReadPublic .*→ +SUCCESS/g)?.length, 3, text)
    assert.equal(text.match(/CreatePrimary .*→ +SUCCESS/g)?.length, 3, text)
    assert.doesNotMatch(text, /Context|FlushContext/)
  }
})

/** GET_STATEBLOB of the permanent, the volatile and the saved state. */
async function takeBlobs(vmm: VmmClient): Promise<string[]> {
  const blobs: string[] = []
  for (const type of [1, 2, 3])
    blobs.push(await vmm.controlWithData(`${CMD.GET_STATEBLOB} 00000000 ${hex32(type)} 00000000`))
  return blobs
}

/** SET_STATEBLOB of one of them: flags, type, length and bytes. @param answer of GET_STATEBLOB: result, flags, total, length, bytes */
const putBlob = (vmm: VmmClient, type: number, answer: string): Promise<string> =>
  vmm.control(`${CMD.SET_STATEBLOB} ${answer.slice(8, 16)} ${hex32(type)} ${answer.slice(24)}`)

describe('the lock on the state, which a migration releases,', () => {
  const start = async (t: Cleanup): Promise<{ tpm: SocketTpm; vmm: VmmClient; clients: Connected[] }> => {
    const tpm = await startManaged(t, '--migration', 'release-lock-outgoing')
    const clients = await connectAll(t, tpm, 8)
    await clients[0]?.succeed(TPM2.nvDefine())
    const vmm = new VmmClient(t, tpm.controlPath)
    await takeBlobs(vmm)
    return { tpm, vmm, clients }
  }

  it('is taken again for the first of many clients that needs it', async (t) => {
    const { clients } = await start(t)
    await Promise.all(clients.map((client, i) => client.succeed(TPM2.nvWrite(Buffer.alloc(32, i)))))
    await clients[0]?.succeed(TPM2.nvRead())
  })

  it('may be held by another: each client is told, and goes on when it is free', async (t) => {
    const { tpm, vmm, clients } = await start(t)
    const fd = openSync(join(tpm.directory, '.lock'), 'r+')
    check(native.lockFile(fd), 'lock the state')
    assert.notEqual(await vmm.control(`${CMD.LOCK_STORAGE} 00000000`), '00000000')
    const codes = await Promise.all(clients.map((client) => client.code(TPM2.getRandom())))
    assert.deepEqual(new Set(codes), new Set([0x101]))
    closeSync(fd)
    assert.equal(await vmm.control(`${CMD.LOCK_STORAGE} 00000000`), '00000000')
    for (const client of clients) await client.succeed(TPM2.nvWrite(Buffer.alloc(32, 1)))
  })
})

describe('state blobs, to the clients, are a reset of the TPM', () => {
  it('when they are taken out', async (t) => {
    const tpm = await startManaged(t)
    const [one, two] = (await connectAll(t, tpm, 2)) as Two
    const [key, session] = [await one.newKey(), await one.newSession()]
    await two.newKey()
    await two.succeed(TPM2.pcrExtend(10, Buffer.alloc(32, 1)))
    const pcr = await two.succeed(TPM2.pcrRead(10))
    await takeBlobs(new VmmClient(t, tpm.controlPath))
    assert.equal(await one.code(TPM2.readPublic(key)), UNKNOWN)
    assert.equal(await one.code(TPM2.policyGetDigest(session)), UNKNOWN)
    for (const client of [one, two]) assert.deepEqual(await client.own(), [])
    // They are the clients' alone.
    assert.deepEqual((await two.succeed(TPM2.pcrRead(10))).subarray(-32), pcr.subarray(-32))
    assert.equal(await one.newKey(), FIRST_VIRTUAL_HANDLE)
  })

  it('when they are put in, for clients that were there before and after', async (t) => {
    const source = await startManaged(t)
    const first = await connect(t, source)
    await first.succeed(TPM2.pcrExtend(10, Buffer.alloc(32, 2)))
    const pcr = (await first.succeed(TPM2.pcrRead(10))).subarray(-32)
    await first.newSession()
    const blobs = await takeBlobs(new VmmClient(t, source.controlPath))

    const target = await startManaged(t)
    const before = await connect(t, target)
    await before.newKey()
    await before.newSession()
    const vmm = new VmmClient(t, target.controlPath)
    assert.equal(await vmm.control(CMD.STOP), '00000000')
    for (const [index, blob] of blobs.entries())
      if (blob.slice(24, 32) !== hex32(0)) assert.equal(await putBlob(vmm, index + 1, blob), '00000000')
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    const after = await connect(t, target)
    for (const client of [before, after]) {
      assert.deepEqual((await client.succeed(TPM2.pcrRead(10))).subarray(-32), pcr)
      assert.deepEqual(await client.own(), [])
      assert.deepEqual(await client.handles(SAVED_SESSIONS), [])
      assert.equal(await client.newKey(), FIRST_VIRTUAL_HANDLE)
      await client.newSession()
    }
  })
})
