/** /dev/NAMErm of `swtpm cuse --resource-manager` on a real kernel: many clients, as /dev/tpmrm0 has them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { ioctlNumber } from '../../contract/verbs.ts'
import { DeviceHandle, deviceName, openDevice, STARTED, startCuseTpm } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { alive, enginePid, nextEngine, replaceEngine, waitsForInput } from '../support/processes.ts'
import { PYTHON } from '../support/python.ts'
import { openShared } from '../support/shared-device.ts'
import {
  FIRST_VIRTUAL_HANDLE,
  LOADED_SESSIONS,
  SAVED_SESSIONS,
  TRANSIENT,
  UNKNOWN,
} from '../support/space-client.ts'
import { suiteCleanup } from '../support/suite.ts'
import { bin, type Cleanup, temporaryDirectory } from '../support/swtpm.ts'
import { tool, tpm2Tools } from '../support/tools.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const SHARED = [...STARTED, '--resource-manager'] as const

function errorOf(act: () => unknown): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

/** A process that sends commands by a device of its own, and then waits until it is killed. */
async function processWith(t: Cleanup, path: string, ...commands: readonly Buffer[]) {
  const send = commands.map((command) => {
    const hex = command.toString('hex').replace(/../g, '\\x$&')
    return `printf '${hex}' >&3; dd bs=4096 count=1 <&3 2>/dev/null >/dev/null`
  })
  const child = spawn('bash', ['-c', `exec 3<>${path}; ${send.join('; ')}; echo done; exec cat`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return child
}

describe('swtpm cuse --resource-manager', () => {
  const shared = suiteCleanup()
  let fleet: DeviceFleet
  before(async () => {
    fleet = await startDeviceFleet(shared)
  })
  const managed = async (t: Cleanup): Promise<{ path: string; rm: string }> => {
    const path = await fleet.cuse(t, '--resource-manager')
    return { path, rm: `${path}rm` }
  }

  it('many clients at once, none of whom sees another, nor does the plain device', async (t) => {
    const { path, rm } = await managed(t)
    const plain = openShared(t, path)
    const own = await plain.newKey()
    assert.equal(own, TRANSIENT)
    const clients = Array.from({ length: 12 }, () => openShared(t, rm))
    const made = await Promise.all(
      clients.map(async (client) => [
        await client.newKey(),
        await client.newKey(),
        await client.newSession(),
      ]),
    )
    for (const [i, client] of clients.entries()) {
      assert.deepEqual(made[i]?.slice(0, 2), [FIRST_VIRTUAL_HANDLE, FIRST_VIRTUAL_HANDLE - 1])
      assert.deepEqual(await client.own(), [FIRST_VIRTUAL_HANDLE - 1, FIRST_VIRTUAL_HANDLE, made[i]?.[2]])
      await client.succeed(TPM2.readPublic(FIRST_VIRTUAL_HANDLE - 1))
      assert.equal(await client.code(TPM2.readPublic(own)), UNKNOWN)
      await client.succeed(TPM2.policyGetDigest(made[i]?.[2] as number))
    }
    assert.deepEqual(await plain.handles(TRANSIENT), [own])
    await plain.succeed(TPM2.readPublic(own))
    assert.equal(
      errorOf(() => new DeviceHandle(path)),
      'EBUSY',
    )
  })

  it('a killed client leaves nothing', async (t) => {
    const { path, rm } = await managed(t)
    const child = await processWith(
      t,
      rm,
      TPM2.createPrimaryEcc,
      TPM2.startPolicySession,
      TPM2.startPolicySession,
    )
    const plain = openShared(t, path)
    assert.equal((await plain.handles(SAVED_SESSIONS)).length, 2)
    child.kill('SIGKILL')
    await waitFor(async () => (await plain.handles(SAVED_SESSIONS)).length === 0, { what: 'no session left' })
  })

  it('write(), read(), poll() and ioctl() answer as /dev/tpmrm0 does', async (t) => {
    const { rm } = await managed(t)
    const { device } = openShared(t, rm)
    const random = TPM2.getRandom(32)
    assert.equal(device.read().length, 0)
    assert.equal(
      errorOf(() => device.write(Buffer.alloc(4097))),
      'E2BIG',
    )
    assert.equal(
      errorOf(() => device.write(random.subarray(0, 5))),
      'EINVAL',
    )
    assert.equal(
      errorOf(() => device.write(random.subarray(0, 11))),
      'EINVAL',
    )
    device.write(Buffer.concat([random, Buffer.alloc(7)]))
    // A response of which nothing has been read yet is not given up.
    await waitFor(() => errorOf(() => device.write(random)) === 'EBUSY', { what: 'EBUSY' })
    assert.equal(device.read(10).readUInt32BE(2), 44)
    assert.equal(device.read().length, 34)
    assert.equal(device.read().length, 0)
    // In parts, and then given up by the next command.
    device.write(random)
    assert.equal(device.read(15).length, 15)
    device.write(random)
    assert.equal(device.read().length, 44)
    const init = Buffer.alloc(4)
    assert.equal(
      errorOf(() => device.raw(ioctlNumber('INIT'), init)),
      'ENOTTY',
    )
    // A command whose client does not wait is executed all the same.
    const other = openShared(t, rm)
    const extended = await other.succeed(TPM2.pcrRead(16))
    device.write(TPM2.pcrExtend(16, Buffer.alloc(32, 1)))
    device.close()
    await waitFor(async () => !(await other.succeed(TPM2.pcrRead(16))).equals(extended), { what: 'the PCR' })
  })

  it('poll(), O_NONBLOCK, and a signal that cancels what is waited for', async (t) => {
    const { rm } = await managed(t)
    const slow = TPM2.createPrimaryRsa(3072, Buffer.from('slow'))
    const script = `
import os, select, signal, struct, sys
slow, random = bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
code = lambda response: struct.unpack('>I', response[6:10])[0]
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, select.POLLIN | select.POLLOUT)
assert poll.poll(0) == [(fd, select.POLLOUT)], poll.poll(0)
os.write(fd, random)
poll.modify(fd, select.POLLIN)
assert poll.poll() == [(fd, select.POLLIN)]
assert len(os.read(fd, 4096)) == 20
assert os.read(fd, 4096) == b''
os.close(fd)

class Stop(Exception): pass
def stop(*_): raise Stop()
signal.signal(signal.SIGALRM, stop)
fd = os.open(sys.argv[1], os.O_RDWR)
for attempt in range(10):
    os.write(fd, slow)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        response = os.read(fd, 4096)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Stop:
        response = os.read(fd, 4096)
        if code(response) == 0x909:
            print('cancelled')
            sys.exit(0)
    assert code(response) == 0, hex(code(response))
    # Made too soon: another key.
    at = slow.index(b'slow'); slow = slow[:at] + b'slo' + bytes([attempt]) + slow[at + 4:]
`
    const args = ['-c', script, rm, slow.toString('hex'), TPM2.getRandom().toString('hex')]
    assert.match(await tool(PYTHON, args), /cancelled/)
    await openShared(t, rm).succeed(TPM2.getRandom())
  })

  it('a client that is killed while it waits does not keep others waiting for its key', async (t) => {
    const { rm } = await managed(t)
    const hex = TPM2.createPrimaryRsa(3072, Buffer.from('another')).toString('hex').replace(/../g, '\\x$&')
    const child = spawn('bash', ['-c', `exec 3<>${rm}; printf '${hex}' >&3; exec cat <&3 >/dev/null`])
    t.after(() => child.kill('SIGKILL'))
    await waitFor(() => !alive(child.pid as number) || waitsForInput(child.pid as number), { what: 'read()' })
    child.kill('SIGKILL')
    await openShared(t, rm).succeed(TPM2.getRandom())
  })

  it('no more clients than it can have', async (t) => {
    const { rm } = await managed(t)
    const clients = Array.from({ length: 256 }, () => openDevice(t, rm))
    assert.equal(
      errorOf(() => new DeviceHandle(rm)),
      'EBUSY',
    )
    clients[0]?.close()
    const last = await waitFor(() => errorOf(() => openDevice(t, rm)) === undefined, { what: 'room again' })
    assert.ok(last)
  })

  it('ten processes of tpm2-tools at once: a key, a session, a policy', async (t) => {
    const { path, rm } = await managed(t)
    const work = async (index: number): Promise<void> => {
      const directory = temporaryDirectory(t)
      const file = (name: string): string => join(directory, name)
      const tools = tpm2Tools(`device:${rm}`)
      await tools('createprimary', '-C', 'o', '-G', 'ecc', '-c', file('primary'))
      await tools('startauthsession', '--policy-session', '-S', file('session'))
      const policy = await tools(
        'policypcr',
        '-S',
        file('session'),
        '-l',
        `sha256:${index}`,
        '-L',
        file('policy'),
      )
      assert.match(policy, /^[0-9a-f]{64}/)
      assert.equal((await tools('getcap', 'handles-transient')).trim(), '')
      await tools('flushcontext', file('session'))
    }
    await Promise.all(Array.from({ length: 10 }, (_, index) => work(index)))
    const plain = openShared(t, path)
    for (const first of [TRANSIENT, LOADED_SESSIONS, SAVED_SESSIONS])
      assert.deepEqual(await plain.handles(first), [])
  })

  it('STOP and INIT under open files: as after a reset of a chip', async (t) => {
    const { path, rm } = await managed(t)
    const control = openDevice(t, path)
    const client = openShared(t, rm)
    const key = await client.newKey()
    const session = await client.newSession()
    assert.equal(control.verb('STOP').tpmResult, 0)
    assert.equal(await client.code(TPM2.getRandom()), 0x101)
    assert.equal(control.verb('INIT', { initFlags: 0 }).tpmResult, 0)
    // What was saved of the TPM holds none of its sessions.
    assert.equal(await client.code(TPM2.startupState), 0)
    assert.equal(await client.code(TPM2.readPublic(key)), UNKNOWN)
    assert.equal(await client.code(TPM2.policyGetDigest(session)), UNKNOWN)
    assert.deepEqual(await client.own(), [])
    assert.deepEqual(await client.handles(SAVED_SESSIONS), [])
    assert.equal(await client.newKey(), FIRST_VIRTUAL_HANDLE)
  })

  it('engines come and go under open files, and so does the supervisor', async (t) => {
    const { swtpm, path } = await startCuseTpm(t, SHARED)
    const rm = `${path}rm`
    const client = openShared(t, rm)
    for (const replace of [
      () => replaceEngine(swtpm.pid),
      async () => {
        const engine = await enginePid(swtpm.pid)
        process.kill(engine, 'SIGKILL')
        await nextEngine(swtpm.pid, engine)
      },
    ]) {
      const key = await client.newKey()
      const session = await client.newSession()
      await replace()
      // The first one may be refused for the response that was lost.
      assert.equal(await client.code(TPM2.readPublic(key)), UNKNOWN)
      assert.equal(await client.code(TPM2.policyGetDigest(session)), UNKNOWN)
      assert.deepEqual(await client.own(), [])
      assert.deepEqual(await client.handles(SAVED_SESSIONS), [])
    }
    // A read() that waits in an engine that dies fails.
    const engine = await enginePid(swtpm.pid)
    client.device.write(TPM2.createPrimaryRsa(3072, Buffer.from('lost')))
    const lost = client.device.readLater()
    process.kill(engine, 'SIGKILL')
    // Where the key was made before, its response has come.
    await lost.then(
      (response) => assert.equal(responseCode(response), 0),
      (error) => assert.equal(error.code, 'EIO'),
    )
    await nextEngine(swtpm.pid, engine)
    await client.succeed(TPM2.getRandom())
    assert.equal(await swtpm.stop(), 0)
    for (const device of [path, rm]) assert.equal(existsSync(device), false, device)
    assert.equal(
      errorOf(() => client.device.write(TPM2.getRandom())),
      'ENOTCONN',
    )
  })

  it('state that is taken out and put back under open files: as after a reset of a chip', async (t) => {
    const { path, rm } = await managed(t)
    const clients = Array.from({ length: 3 }, () => openShared(t, rm))
    const own = async (): Promise<void> => {
      for (const client of clients) {
        assert.equal(await client.newKey(), FIRST_VIRTUAL_HANDLE)
        await client.newSession()
      }
    }
    const assertReset = async (): Promise<void> => {
      for (const client of clients) {
        assert.equal(await client.code(TPM2.readPublic(FIRST_VIRTUAL_HANDLE)), UNKNOWN)
        assert.deepEqual(await client.own(), [])
        assert.deepEqual(await client.handles(SAVED_SESSIONS), [])
      }
    }
    const file = (name: string): string => join(directory, name)
    const directory = temporaryDirectory(t)
    const verb = (...args: string[]) => tool(bin('swtpm_ioctl'), ['--tpm-device', path, ...args])
    await own()
    await clients[0]?.succeed(TPM2.pcrExtend(16, Buffer.alloc(32, 1)))
    const pcr = await clients[0]?.succeed(TPM2.pcrRead(16))
    for (const type of ['permanent', 'volatile']) await verb('--save', type, file(type))
    await assertReset()
    await own()
    await verb('--stop')
    for (const type of ['permanent', 'volatile']) await verb('--load', type, file(type))
    await verb('-i')
    await assertReset()
    assert.deepEqual((await clients[0]?.succeed(TPM2.pcrRead(16)))?.subarray(-32), pcr?.subarray(-32))
    await own()
  })

  it('an engine that is killed under 32 clients at work: each loses a response at most', async (t) => {
    const { swtpm, path } = await startCuseTpm(t, SHARED)
    const clients = Array.from({ length: 32 }, () => openShared(t, `${path}rm`))
    let lost = 0
    const work = clients.map(async (client) => {
      for (let i = 0; i < 30; i++)
        await client.succeed(TPM2.getRandom()).catch((error) => {
          assert.equal(error.code, 'EIO')
          lost++
        })
    })
    const engine = await enginePid(swtpm.pid)
    process.kill(engine, 'SIGKILL')
    await nextEngine(swtpm.pid, engine)
    await Promise.all(work)
    assert.ok(lost <= clients.length, `${lost} responses`)
    for (const client of clients) assert.deepEqual(await client.own(), [])
  })

  it('a name that is taken is refused before anything is served', async (t) => {
    const name = deviceName()
    const taken = await fleet.refusal(t, ['cuse', '-n', `${name}rm`, ...STARTED])
    assert.equal(taken, undefined)
    const said = await fleet.refusal(t, ['cuse', '-n', name, ...SHARED])
    assert.match(said ?? 'served', /Cannot create device "\/dev\/.*rm": it already exists/)
    assert.equal(existsSync(`/dev/${name}`), false)
  })
})
