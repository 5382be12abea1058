/**
 * Engines behind real devices that their guests have broken into: that device goes on with another engine, or ends with an error; the
 * devices beside it notice nothing. On sockets: test/hard/evil-engine.test.ts.
 */
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { HOST } from '../../contract/struct.ts'
import { FUSE_IOCTL, fuseInHeader, fuseOutHeader } from '../../src/cuse/fuse-protocol.ts'
import { EVIL, eventFrame, evilEngine } from '../hard/support/evil-engine.ts'
import { noCxxCompiler } from '../support/compilers.ts'
import { DeviceHandle } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { alive } from '../support/processes.ts'
import { suiteCleanup } from '../support/suite.ts'
import { asksAgain } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

/** Where the device state begins in the memory that engines leave to each other: the last FUSE request that was read. */
const LAST_UNIQUE_AT = 16

/** A command on a handle of its own. @returns the response code, or undefined where the device says anything else */
async function send(path: string, command: Buffer): Promise<number | undefined> {
  let device: DeviceHandle
  try {
    device = new DeviceHandle(path)
  } catch {
    return undefined
  }
  try {
    for (;;) {
      device.write(command)
      const response = await device.readLater()
      if (!asksAgain(response)) return responseCode(response)
    }
  } catch {
    return undefined
  } finally {
    device.close()
  }
}

/** A request as the kernel would make it, but for what is given. */
const fuseRequest = (opcode: number, body: Buffer, fields: { len?: number; unique?: bigint } = {}): Buffer =>
  Buffer.concat([
    fuseInHeader.encode(
      {
        len: fields.len ?? fuseInHeader.size + body.length,
        opcode,
        unique: fields.unique ?? 1n << 40n,
        ...{ nodeid: 0n, uid: 0, gid: 0, pid: 0, padding: 0 },
      },
      HOST,
    ),
    body,
  ])

describe('a fleet of devices with an engine that has been broken into', { skip: noCxxCompiler() }, () => {
  const shared = suiteCleanup()
  let fleet: DeviceFleet
  /** Of nobody's concern. */
  let other: string
  let engineOfOther: number

  const status = async (address: string) => (await fleet.list()).find((tpm) => tpm.address === address)
  const serves = (path: string): Promise<unknown> =>
    waitFor(async () => (await send(path, TPM2.getRandom())) === 0, { what: `${path} to serve` })

  before(async () => {
    fleet = await startDeviceFleet(shared, [], { SWTPM_ENGINE: evilEngine() })
    other = await fleet.cuse(shared)
    engineOfOther = (await status(other))?.engine as number
  })

  /** After each step there is another engine for the device at `path`, which goes on; the other device has the engine that it had. */
  async function loseEngines(path: string, steps: readonly (() => Promise<unknown>)[]): Promise<void> {
    for (const step of steps) {
      const engine = (await status(path))?.engine as number
      await step()
      await waitFor(() => !alive(engine), { what: 'the engine to be killed' })
      assert.equal(await send(other, TPM2.getRandom()), 0)
      assert.equal((await status(other))?.engine, engineOfOther)
      await serves(path)
    }
  }

  it('CUSE: loses that engine alone over FUSE requests that the kernel has never made', async (t) => {
    const path = await fleet.cuse(t)
    const events = [
      Buffer.alloc(3),
      fuseRequest(FUSE_IOCTL, Buffer.alloc(3)),
      fuseRequest(FUSE_IOCTL, Buffer.alloc(32), { len: 0xffff_ffff }),
      fuseRequest(FUSE_IOCTL, Buffer.alloc(32), { unique: 0n }),
    ]
    await loseEngines(
      path,
      events.map((event) => () => send(path, EVIL.say(eventFrame('FUSE_REQUEST', event)))),
    )
  })

  it('CUSE: loses it over an answer to an ioctl that does not fit, which fails', async (t) => {
    const path = await fleet.cuse(t)
    await loseEngines(path, [
      async () => {
        assert.equal(await send(path, EVIL.answer(Buffer.alloc(3))), 0)
        const device = new DeviceHandle(path)
        assert.throws(() => device.verb('GET_CONFIG'), { code: 'EIO' })
        device.close()
      },
    ])
  })

  it('CUSE: fails nothing of other devices over the request number that it leaves', async (t) => {
    const path = await fleet.cuse(t)
    const number = Buffer.alloc(8)
    number.writeBigUInt64LE((1n << 64n) - 10n)
    await loseEngines(path, [
      async () => {
        assert.equal(await send(path, EVIL.poke(LAST_UNIQUE_AT, number)), 0)
        await send(path, EVIL.go(1))
      },
    ])
  })

  it('CUSE: may say what it likes to the kernel, which takes none of it', async (t) => {
    const path = await fleet.cuse(t)
    const reply = (fields: { len?: number; error?: number; unique: bigint }): Buffer =>
      fuseOutHeader.encode({ len: 16, error: 0, ...fields }, HOST)
    for (const bytes of [
      Buffer.alloc(3),
      reply({ unique: 1n << 40n }),
      reply({ unique: 2n, len: 0xffff_ffff }),
      reply({ unique: 2n, error: -100_000 }),
      // A notification, of a kind that there is not.
      reply({ unique: 0n, error: 1000 }),
    ])
      assert.notEqual(await send(path, EVIL.write(bytes)), 0)
    assert.equal(await send(path, TPM2.getRandom()), 0)
    assert.equal(await send(other, TPM2.getRandom()), 0)
    assert.equal((await status(other))?.engine, engineOfOther)
  })

  it('vTPM proxy: loses it over an event that does not fit, and when it goes', async (t) => {
    const { path } = await fleet.proxy(t, '--tpm2')
    await loseEngines(path, [
      () => send(path, EVIL.say(eventFrame('CLIENT_CLOSED', Buffer.alloc(0)))),
      () => send(path, EVIL.go(1)),
    ])
  })

  it("vTPM proxy: an answer of its own is its client's, and no one else's", async (t) => {
    const { path } = await fleet.proxy(t, '--tpm2')
    // The kernel wants no answer but one, of the size that it says.
    await send(path, EVIL.write(Buffer.from('8001ffffffff00000000', 'hex')))
    assert.equal(await send(other, TPM2.getRandom()), 0)
    assert.equal((await status(other))?.engine, engineOfOther)
    await serves(path)
  })

  it('replaces all engines by SIGUSR2, and ends, whatever they do', async (t) => {
    const lies = await fleet.cuse(t)
    const stays = (await fleet.proxy(t, '--tpm2')).path
    assert.equal(await send(stays, EVIL.stay()), 0)
    assert.equal(await send(lies, EVIL.answer(Buffer.from('0000000a', 'hex'))), 0)
    const before = (await fleet.list()).map(({ engine }) => engine as number)
    process.kill(fleet.swtpm.pid, 'SIGUSR2')
    await waitFor(() => !before.some(alive), { what: 'the engines to be replaced' })
    for (const path of [lies, stays, other]) await serves(path)
    assert.equal(await send(stays, EVIL.stay()), 0)
    const engines = (await fleet.list()).map(({ engine }) => engine as number)
    assert.equal(await fleet.swtpm.stop(), 0)
    assert.deepEqual(engines.filter(alive), [])
  })

  it('an engine that dies again and again ends its device alone', async (t) => {
    const another = await startDeviceFleet(t, [], { SWTPM_ENGINE: evilEngine() })
    const [evil, good] = [await another.cuse(t), await another.cuse(t)]
    for (let deaths = 0; deaths < 9; deaths++) {
      await send(evil, EVIL.go(1))
      await waitFor(
        async () => {
          const tpm = (await another.list()).find(({ name }) => name === 'tpm0')
          return tpm?.state === 'failed' || (await send(evil, TPM2.getRandom())) === 0
        },
        { what: 'the next engine, or the end' },
      )
    }
    assert.equal((await another.list()).find(({ name }) => name === 'tpm0')?.state, 'failed')
    assert.throws(() => new DeviceHandle(evil), { code: 'ENOENT' })
    assert.equal(await send(good, TPM2.getRandom()), 0)
    assert.equal(await another.swtpm.stop(), 0)
  })
})
