/** `swtpm socket --resource-manager`: many connections to one TPM, each with objects and sessions of its own. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { type Connected, connect, connectAll, control, startManaged } from '../support/managed-tpm.ts'
import { enginePid, nextEngine, replaceEngine } from '../support/processes.ts'
import {
  FIRST_VIRTUAL_HANDLE,
  LOADED_SESSIONS,
  SAVED_SESSIONS,
  TRANSIENT,
  UNKNOWN,
} from '../support/space-client.ts'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { EMPTY_PASSWORD, handlesIn, hex32, responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const TPM_RC_HANDLE_P1 = 0x1cb
const TPM_RC_OBJECT_MEMORY = 0x902
const TPM_RC_SESSION_HANDLES = 0x905

describe('swtpm socket --resource-manager', () => {
  it('gives each of many clients its own keys and sessions, more than the TPM has room for', async (t) => {
    const tpm = await startManaged(t)
    const clients = await connectAll(t, tpm, 12)
    const made = await Promise.all(
      clients.map(async (client) => ({
        keys: [await client.newKey(), await client.newKey()],
        sessions: [await client.newSession(), await client.newSession()],
      })),
    )
    const sessions = made.flatMap((own) => own.sessions)
    assert.equal(new Set(sessions).size, sessions.length)
    for (const [i, client] of clients.entries()) {
      assert.deepEqual(made[i]?.keys, [FIRST_VIRTUAL_HANDLE, FIRST_VIRTUAL_HANDLE - 1])
      assert.deepEqual(await client.handles(TRANSIENT), [FIRST_VIRTUAL_HANDLE - 1, FIRST_VIRTUAL_HANDLE])
      assert.deepEqual(await client.handles(FIRST_VIRTUAL_HANDLE), [FIRST_VIRTUAL_HANDLE])
      assert.deepEqual(await client.handles(LOADED_SESSIONS), made[i]?.sessions)
      assert.deepEqual(await client.handles(SAVED_SESSIONS), [])
      await client.succeed(TPM2.readPublic(FIRST_VIRTUAL_HANDLE))
      await client.succeed(TPM2.policyGetDigest(made[i]?.sessions[0] as number))
    }
  })

  it('lists handles one by one, for programs that go on by the last one, and for those that count', async (t) => {
    const client = await connect(t, await startManaged(t))
    for (let i = 0; i < 3; i++) await client.newKey()
    const own = await client.handles(TRANSIENT)
    const list = async (next: (first: number, listed: number) => number): Promise<number[]> => {
      const handles: number[] = []
      for (let first = TRANSIENT, more = true; more; first = next(first, handles.at(-1) as number)) {
        const response = await client.succeed(tpm2(0x17a, ['00000001', hex32(first), '00000001']))
        more = response[10] === 1
        handles.push(...handlesIn(response))
      }
      return handles
    }
    assert.deepEqual(await list((_, listed) => listed + 1), own)
    assert.deepEqual(await list((first) => first + 1), own)
  })

  it('lets no client use, list or flush what is another’s', async (t) => {
    const tpm = await startManaged(t)
    const [one, two] = (await connectAll(t, tpm, 2)) as [Connected, Connected]
    const key = await one.newKey()
    const session = await one.newSession()
    assert.deepEqual(await two.own(), [])
    for (const handle of [key, TRANSIENT, TRANSIENT + 1, 0x80ff_fff0])
      assert.equal(await two.code(TPM2.readPublic(handle)), UNKNOWN)
    assert.equal(await two.code(TPM2.policyGetDigest(session)), UNKNOWN)
    for (const handle of [key, session, session & 0x2ff_ffff, TRANSIENT])
      assert.equal(await two.code(TPM2.flushContext(handle)), TPM_RC_HANDLE_P1)
    // Nor as what authorizes a command.
    const area = Buffer.from(`00000009 ${hex32(session)} 0000 00 0000`.replaceAll(' ', ''), 'hex')
    const extend = tpm2(0x182, ['00000010', area, '00000001 000b', Buffer.alloc(32)], true)
    assert.equal(await two.code(extend), 0x918)
    // Several of the TPM's own handles are in use when a command is executed: none of them is a client's.
    const object = await two.newKey()
    assert.equal(object, FIRST_VIRTUAL_HANDLE)
    for (const handle of [TRANSIENT, TRANSIENT + 1, TRANSIENT + 2])
      assert.equal(await two.code(TPM2.readPublic(handle)), UNKNOWN)
    assert.deepEqual(await one.own(), [key, session])
  })

  it('flushes what a client has when it goes, in whatever way', async (t) => {
    const tpm = await startManaged(t)
    const watcher = await connect(t, tpm)
    // Each has as many sessions as one client may; a TPM has 64 for all.
    for (let round = 0; round < 12; round++) {
      const client = await connect(t, tpm)
      for (let i = 0; i < 8; i++)
        await waitFor(async () => (await client.code(TPM2.startPolicySession)) === 0, { what: 'a session' })
      if (round % 2) client.connection.socket.end()
      else client.connection.close()
    }
    assert.deepEqual(await watcher.own(), [])
    await waitFor(async () => (await watcher.handles(SAVED_SESSIONS)).length === 0, {
      what: 'no session left',
    })
  })

  it('bounds what a client has, and says so as a TPM does', async (t) => {
    const tpm = await startManaged(t)
    const [one, two] = (await connectAll(t, tpm, 2)) as [Connected, Connected]
    for (let i = 0; i < 16; i++) assert.equal(await one.newKey(), FIRST_VIRTUAL_HANDLE - i)
    assert.equal(await one.code(TPM2.createPrimaryEcc), TPM_RC_OBJECT_MEMORY)
    for (let i = 0; i < 8; i++) await one.newSession()
    assert.equal(await one.code(TPM2.startPolicySession), TPM_RC_SESSION_HANDLES)
    assert.equal(await one.code(TPM2.flushContext(FIRST_VIRTUAL_HANDLE - 7)), 0)
    assert.equal(await one.newKey(), FIRST_VIRTUAL_HANDLE - 7)
    assert.equal(await two.newKey(), FIRST_VIRTUAL_HANDLE)
    await two.newSession()
  })

  it('keeps a sequence, which changes with each use, until it is completed', async (t) => {
    const tpm = await startManaged(t)
    const clients = await connectAll(t, tpm, 4)
    const sequences = await Promise.all(clients.map((client) => client.newSequence()))
    const parts = ['one ', 'two ', 'three']
    for (const part of parts)
      for (const [i, client] of clients.entries()) {
        const data = Buffer.from(`${i}${part}`)
        await client.succeed(
          tpm2(0x15c, [hex32(sequences[i] as number), EMPTY_PASSWORD, data.length, data], true),
        )
      }
    for (const [i, client] of clients.entries()) {
      const completed = await client.succeed(
        tpm2(0x13e, [hex32(sequences[i] as number), EMPTY_PASSWORD, 0, '40000007'], true),
      )
      const digest = createHash('sha256')
        .update(parts.map((part) => `${i}${part}`).join(''))
        .digest()
      assert.deepEqual(completed.subarray(16, 48), digest)
      assert.deepEqual(await client.handles(TRANSIENT), [])
    }
  })

  it('a context that a client saves outlives it, and another client may load it', async (t) => {
    const tpm = await startManaged(t)
    const one = await connect(t, tpm)
    const session = await one.newSession()
    const save = (handle: number): Buffer => tpm2(0x162, [hex32(handle)])
    const key = await one.newKey()
    const savedKey = (await one.succeed(save(key))).subarray(10)
    const savedSession = (await one.succeed(save(session))).subarray(10)
    assert.deepEqual(await one.handles(LOADED_SESSIONS), [])
    one.connection.close()

    const two = await connect(t, tpm)
    await waitFor(async () => (await two.handles(SAVED_SESSIONS)).length === 1, { what: 'the saved session' })
    const load = (context: Buffer): Buffer => tpm2(0x161, [context])
    assert.equal((await two.succeed(load(savedSession))).readUInt32BE(10), session)
    assert.equal((await two.succeed(load(savedKey))).readUInt32BE(10), FIRST_VIRTUAL_HANDLE)
    assert.deepEqual(await two.handles(SAVED_SESSIONS), [])
    await two.succeed(TPM2.policyGetDigest(session))
    // It was loaded once already.
    assert.equal(await two.code(load(savedSession)), TPM_RC_HANDLE_P1)
    await two.succeed(TPM2.flushContext(session))
    assert.deepEqual(await two.handles(LOADED_SESSIONS), [])
  })

  it('refuses bytes that are no command, and maps nothing of them', async (t) => {
    const tpm = await startManaged(t)
    const client = await connect(t, tpm)
    assert.equal(await client.code(tpm2(0x1fe)), 0xb0143)
    assert.equal(await client.code(tpm2(0x2000_0000)), 0xb0143)
    // Ends within its handles, or within its sessions.
    for (const command of [
      tpm2(0x173, ['8000']),
      tpm2(0x157, ['80000000 00000009 4000'], true),
      tpm2(0x157, ['80000000 ffffffff 40000009 0000 00 0000'], true),
      tpm2(0x165, ['80000000 00']),
      tpm2(0x165, ['80000000', EMPTY_PASSWORD], true),
      tpm2(0x17a, ['00000001 80000000']),
    ])
      assert.notEqual(await client.code(command), 0, command.toString('hex'))
    await client.newKey()
    assert.deepEqual(await client.handles(TRANSIENT), [FIRST_VIRTUAL_HANDLE])
  })

  it('a client that sends a part, or reads nothing, keeps no other one waiting', async (t) => {
    const tpm = await startManaged(t)
    const [half, deaf, other] = (await connectAll(t, tpm, 3)) as [Connected, Connected, Connected]
    half.connection.write(TPM2.getRandom().subarray(0, 7))
    deaf.connection.socket.pause()
    const many = Buffer.concat(Array.from({ length: 1 }, () => TPM2.getRandom(32)))
    deaf.connection.write(many)
    for (let i = 0; i < 20; i++) await other.succeed(TPM2.getRandom())
    // What does not become whole within 500 ms is answered as a command that is too short.
    assert.equal(responseCode(await half.connection.readResponse()), 0x142)
    await half.succeed(TPM2.getRandom())
  })

  it('after INIT, and in another engine, a client is as after a reset of a chip', async (t) => {
    const tpm = await startManaged(t)
    const client = await connect(t, tpm)
    const key = await client.newKey()
    const session = await client.newSession()
    assert.equal(await control(tpm, `${CMD.STOP}`), 0)
    assert.equal(await client.code(TPM2.getRandom()), 0x101)
    assert.equal(await control(tpm, `${CMD.INIT} 00000000`), 0)
    assert.equal(await client.code(TPM2.getRandom()), 0x100)
    await client.succeed(TPM2.startupState).catch(() => client.succeed(TPM2.startupClear))
    assert.equal(await client.code(TPM2.readPublic(key)), UNKNOWN)
    assert.equal(await client.code(TPM2.policyGetDigest(session)), UNKNOWN)
    assert.deepEqual(await client.own(), [])
    assert.deepEqual(await client.handles(SAVED_SESSIONS), [])

    const engine = await enginePid(tpm.swtpm.pid)
    await client.newSession()
    process.kill(engine, 'SIGKILL')
    await nextEngine(tpm.swtpm.pid, engine)
    await client.connection.readToEnd()
    const next = await connect(t, tpm)
    assert.deepEqual(await next.own(), [])
    assert.deepEqual(await next.handles(SAVED_SESSIONS), [])
    await next.newKey()
    await next.newSession()

    await replaceEngine(tpm.swtpm.pid)
    const last = await connect(t, tpm)
    assert.deepEqual(await last.own(), [])
    assert.deepEqual(await last.handles(SAVED_SESSIONS), [])
  })

  it('sessions that are used again and again do not keep others from being saved', async (t) => {
    const tpm = await startManaged(t)
    const [idle, busy] = (await connectAll(t, tpm, 2)) as [Connected, Connected]
    const old = await idle.newSession()
    const session = await busy.newSession()
    // More than the 255 contexts by which the oldest of some TPMs may fall behind.
    for (let i = 0; i < 600; i++) await busy.succeed(TPM2.policyGetDigest(session))
    await idle.succeed(TPM2.policyGetDigest(old))
  })
})

describe('--resource-manager is refused', () => {
  for (const [what, args, reason] of [
    ['for a TPM 1.2', ['socket', '--server', 'type=unixio,path=x'], /a TPM 1\.2 cannot be shared/],
    ['without a socket', ['socket', '--tpm2', '--ctrl', 'type=unixio,path=x'], /give --server/],
    ['with a connection for each command', ['socket', '--tpm2', '-p', '1'], /without disconnect/],
    ['for a CUSE TPM 1.2', ['cuse', '-n', 'x'], /a TPM 1\.2 cannot be shared/],
  ] as const)
    it(what, async (t) => {
      const directory = temporaryDirectory(t)
      const swtpm = new Swtpm([...args, '--tpmstate', `dir=${join(directory)}`, '--resource-manager'])
      assert.notEqual(await swtpm.exited, 0)
      assert.match(swtpm.stderr, reason)
    })
})
