/**
 * Devices outlive the engine behind them, on a real kernel: killed under load, its commands end in an error at once and
 * the node stays; replaced under load, clients notice nothing. What is kept is the matter of test/hard/succession.test.ts.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { close, existsSync, statSync, write } from 'node:fs'
import { before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { DeviceHandle, openDevice, STARTED, startCuseTpm } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { atWork, deepInWork, enginePid, nextEngine, replaceEngine } from '../support/processes.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import { suiteCleanup } from '../support/suite.ts'
import type { Swtpm } from '../support/swtpm.ts'
import { EMPTY_PASSWORD, responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const TPM_RC_CANCELED = 0x909
const KILLS = 5
const REPLACEMENTS = 5
/** No more deaths than the supervisor bears within a minute. */
const AT_ONCE = 7

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const MEASURED = Buffer.from('measured')
const DIGEST = sha256(MEASURED)
/** PCR_Event: to it the kernel gives two minutes, to a PCR_Extend less than a second. */
const EXTEND = tpm2(0x13c, ['00000007', EMPTY_PASSWORD, MEASURED.length, MEASURED.toString('hex')], true)
const extended = (times: number): Buffer =>
  Array.from({ length: times }).reduce<Buffer>((pcr) => sha256(pcr, DIGEST), Buffer.alloc(32))
const slowCommand = (): Buffer => TPM2.createPrimaryRsa(3072, Buffer.from(`slow ${Math.random()}`))

/** A client that extends PCR 7 of /dev/tpm0's kind, waiting on another thread. */
class Extender {
  readonly #device: DeviceHandle
  /** How often it was told of success; one more may have happened. */
  count = 0

  constructor(device: DeviceHandle) {
    this.#device = device
  }

  async once(): Promise<void> {
    this.#device.write(EXTEND)
    const response = await this.#device.readLater()
    assert.equal(responseCode(response), 0, response.toString('hex'))
    this.count++
  }

  async check(): Promise<void> {
    this.#device.write(TPM2.pcrRead(7))
    const pcr = (await this.#device.readLater()).subarray(-32)
    if (!pcr.equals(extended(this.count))) assert.deepEqual(pcr, extended(++this.count))
  }
}

/** Engines come and go while the client goes on; each of its commands happens once. */
async function replaceUnderLoad(swtpm: Swtpm, extender: Extender): Promise<void> {
  let replacing = true
  const load = (async () => {
    while (replacing) await extender.once()
  })()
  for (let i = 0; i < REPLACEMENTS; i++) await replaceEngine(swtpm.pid)
  replacing = false
  await load
  const told = extender.count
  await extender.check()
  assert.equal(extender.count, told)
}

/** Waits while another client has it open. */
function openWhenFree(path: string): Promise<DeviceHandle> {
  const open = (): DeviceHandle | undefined => {
    try {
      return new DeviceHandle(path)
    } catch {
      return undefined
    }
  }
  return waitFor(open, { what: 'the device to be free' }) as Promise<DeviceHandle>
}

const shared = suiteCleanup()
/** It has one TPM at a time, so its engine is the one that a test means. */
let fleet: DeviceFleet
before(async () => {
  fleet = await startDeviceFleet(shared)
})

/** What the fleet says from now on. */
function listen(): () => string {
  const from = fleet.swtpm.stderr.length
  return () => fleet.swtpm.stderr.slice(from)
}

describe('a CUSE device whose engine is killed', () => {
  it('fails the read() that waits, at once, and goes on with PCRs and keys', async (t) => {
    const { swtpm, path } = await startCuseTpm(t, STARTED)
    const device = openDevice(t, path)
    const { ino } = statSync(path)
    device.command(TPM2.pcrExtend(7, DIGEST))
    assert.equal(responseCode(device.command(TPM2.createPrimaryEcc)), 0)
    for (let i = 0; i < KILLS; i++) {
      const engine = await enginePid(swtpm.pid)
      device.write(slowCommand())
      const response = device.readLater()
      await deepInWork(engine)
      process.kill(engine, 'SIGKILL')
      await assert.rejects(response, { code: 'EIO' })
      assert.deepEqual(device.command(TPM2.pcrRead(7)).subarray(-32), extended(1))
    }
    assert.equal(responseCode(device.command(TPM2.readPublic(0x80000000))), 0)
    assert.equal(statSync(path).ino, ino)
    assert.equal(device.verb('GET_CONFIG').tpmResult, 0)
    assert.match(swtpm.stderr, /A new engine has taken over/)
    assert.equal(await swtpm.stop(), 0)
  })

  it('fails the next read() where none waited, and keeps an unread response', async (t) => {
    const { swtpm } = fleet
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    const first = await enginePid(swtpm.pid)
    device.write(slowCommand())
    await deepInWork(first)
    process.kill(first, 'SIGKILL')
    const second = await nextEngine(swtpm.pid, first)
    assert.throws(() => device.read(), { code: 'EIO' })

    device.write(TPM2.getRandom())
    await waitFor(() => !atWork(second), { what: 'the response' })
    process.kill(second, 'SIGKILL')
    await nextEngine(swtpm.pid, second)
    assert.equal(responseCode(device.read()), 0)
  })

  it('is open for the next client after one that closed meanwhile', async (t) => {
    const { swtpm } = fleet
    const path = await fleet.cuse(t)
    const device = new DeviceHandle(path)
    device.command(TPM2.getRandom())
    process.kill(swtpm.pid, 'SIGSTOP')
    process.kill(await enginePid(swtpm.pid), 'SIGKILL')
    // It returns when it has been answered.
    const closed = promisify(close)(device.fd)
    process.kill(swtpm.pid, 'SIGCONT')
    await closed
    const next = await openWhenFree(path)
    t.after(() => next.close())
    assert.equal(responseCode(next.command(TPM2.getRandom())), 0)
  })

  it('is open for the next client after one that closed at the same moment', async (t) => {
    const { swtpm } = fleet
    const path = await fleet.cuse(t)
    for (let i = 0; i < AT_ONCE; i++) {
      const device = await openWhenFree(path)
      // The engine sleeps in read(); what wakes it first is chance.
      const engine = await enginePid(swtpm.pid)
      const closed = promisify(close)(device.fd)
      process.kill(engine, 'SIGKILL')
      await closed
      await nextEngine(swtpm.pid, engine)
    }
    const device = await openWhenFree(path)
    t.after(() => device.close())
    assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  })

  it('loses no command that was answered under load', async (t) => {
    const { swtpm } = fleet
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    const extender = new Extender(device)
    for (let i = 0; i < KILLS; i++) {
      const engine = await enginePid(swtpm.pid)
      const goal = extender.count + 3 + i
      let killed = false
      for (;;) {
        try {
          await extender.once()
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'EIO')
          break
        }
        if (extender.count > goal && !killed) {
          killed = true
          process.kill(engine, 'SIGKILL')
        }
        // The kill may have met no command at all.
        if (killed && extender.count > goal + 3) break
      }
      await nextEngine(swtpm.pid, engine)
      await extender.check()
    }
  })
})

describe('a /dev/tpmN whose engine is killed', () => {
  it('ends its command at once, and goes on', async (t) => {
    const { swtpm, path, number } = await startProxyTpm(t)
    const device = new DeviceHandle(path)
    t.after(() => device.close())
    const extender = new Extender(device)
    await extender.once()
    for (let i = 0; i < KILLS; i++) {
      const engine = await enginePid(swtpm.pid)
      // The kernel's driver returns from write() when it has the response.
      const written = promisify(write)(device.fd, slowCommand())
      await deepInWork(engine)
      process.kill(engine, 'SIGKILL')
      await written
      assert.equal(responseCode(device.read()), TPM_RC_CANCELED)
      await extender.check()
      await extender.once()
    }
    assert.ok(existsSync(`/dev/tpmrm${number}`))
    assert.equal(await swtpm.stop(), 0)
  })

  it('answers a command that comes at the same moment', async (t) => {
    const { swtpm } = fleet
    const { path } = await fleet.proxy(t, '--tpm2')
    const device = new DeviceHandle(path)
    t.after(() => device.close())
    for (let i = 0; i < AT_ONCE; i++) {
      const engine = await enginePid(swtpm.pid)
      const written = promisify(write)(device.fd, EXTEND)
      process.kill(engine, 'SIGKILL')
      await written
      assert.ok([0, TPM_RC_CANCELED].includes(responseCode(device.read())))
      await nextEngine(swtpm.pid, engine)
    }
  })

  it('is not missed by the kernel while it sends no commands', async (t) => {
    const { swtpm } = fleet
    const { path } = await fleet.proxy(t, '--tpm2')
    const said = listen()
    const engine = await enginePid(swtpm.pid)
    process.kill(engine, 'SIGKILL')
    // The kernel gives a GetRandom two seconds, and an emulated processor may need them to start a program.
    await waitFor(() => said().includes('A new engine has taken over'), { what: 'the next engine' })
    const device = new DeviceHandle(path)
    assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
    device.close()
  })
})

describe('an engine replaced under a device', () => {
  it('CUSE: a client that keeps it busy notices nothing, nor one with an unread response', async (t) => {
    const { swtpm } = fleet
    const said = listen()
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    assert.equal(responseCode(device.command(TPM2.createPrimaryEcc)), 0)
    const extender = new Extender(device)
    await replaceUnderLoad(swtpm, extender)
    device.write(TPM2.readPublic(0x80000000))
    await replaceEngine(swtpm.pid)
    assert.equal(responseCode(device.read()), 0)
    assert.doesNotMatch(said(), /unexpectedly/)
  })

  it('vTPM proxy: a client that keeps it busy notices nothing', async (t) => {
    const { swtpm } = fleet
    const { path } = await fleet.proxy(t, '--tpm2')
    const device = new DeviceHandle(path)
    t.after(() => device.close())
    const extender = new Extender(device)
    await replaceUnderLoad(swtpm, extender)
  })
})
