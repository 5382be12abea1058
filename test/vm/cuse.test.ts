/** A TPM on the device of `swtpm cuse`, on a real kernel: its ioctls, and how it ends. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { ioctlNumber } from '../../contract/verbs.ts'
import { deviceName, openDevice, STARTED, startCuseTpm } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { alive, enginePid } from '../support/processes.ts'
import { suiteCleanup } from '../support/suite.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2, TPM12, tpm2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

describe('swtpm cuse', () => {
  const shared = suiteCleanup()
  let fleet: DeviceFleet
  before(async () => {
    fleet = await startDeviceFleet(shared)
  })

  for (const [version, args, startup, random] of [
    ['2.0', ['--tpm2'], TPM2.startupClear, TPM2.getRandom()],
    ['1.2', [], TPM12.startupClear, TPM12.getRandom()],
  ] as const) {
    it(`TPM ${version}: INIT, commands by write() and read(), every verb`, async (t) => {
      const name = deviceName()
      assert.equal(await fleet.refusal(t, ['cuse', '-n', name, ...args]), undefined)
      const device = openDevice(t, `/dev/${name}`)
      assert.equal(device.verb('GET_CAPABILITY').caps, 0x16fffn)
      assert.equal(device.command(random).subarray(6, 10).readUInt32BE(), version === '2.0' ? 0x101 : 9)
      assert.equal(device.verb('INIT', { initFlags: 0 }).tpmResult, 0)
      assert.equal(responseCode(device.command(startup)), 0)
      assert.equal(responseCode(device.command(random)), 0)
      assert.deepEqual(device.verb('GET_TPMESTABLISHED'), { tpmResult: 0, bit: 0 })
      assert.equal(device.verb('SET_LOCALITY', { loc: 3 }).tpmResult, 0)
      assert.equal(device.verb('SET_LOCALITY', { loc: 5 }).tpmResult, 0x3d)
      assert.equal(device.verb('SET_LOCALITY', { loc: 0 }).tpmResult, 0)
      assert.equal(device.verb('HASH_START').tpmResult, 0)
      assert.equal(device.verb('HASH_DATA', { length: 3, data: Buffer.from('abc') }).tpmResult, 0)
      assert.equal(device.verb('HASH_DATA', { length: 4097, data: Buffer.alloc(0) }).tpmResult, 9)
      assert.equal(device.verb('HASH_END').tpmResult, 0)
      assert.deepEqual(device.verb('GET_TPMESTABLISHED'), { tpmResult: 0, bit: 1 })
      assert.equal(device.verb('RESET_TPMESTABLISHED', { loc: 5 }).tpmResult, 0x3d)
      assert.equal(device.verb('RESET_TPMESTABLISHED', { loc: 3 }).tpmResult, 0)
      assert.deepEqual(device.verb('GET_TPMESTABLISHED'), { tpmResult: 0, bit: 0 })
      // libtpms cannot cancel commands of a TPM 1.2.
      assert.equal(device.verb('CANCEL_TPM_CMD').tpmResult, version === '2.0' ? 0 : 9)
      assert.equal(device.verb('STORE_VOLATILE').tpmResult, 0)
      assert.deepEqual(device.verb('GET_CONFIG'), { tpmResult: 0, flags: 0 })
      assert.equal(device.verb('SET_BUFFERSIZE', { bufferSize: 3000 }).tpmResult, 0xa)
      const { bufferSize, minSize, maxSize } = device.verb('SET_BUFFERSIZE', { bufferSize: 0 })
      assert.ok(minSize <= bufferSize && bufferSize <= maxSize && maxSize === 4096)
      const info = device.verb('GET_INFO', { flags: 1n, offset: 0, pad: 0 })
      assert.match(info.buffer.subarray(0, info.length - 1).toString(), /"TPMSpecification"/)
      assert.equal(device.verb('STOP').tpmResult, 0)
      assert.equal(device.verb('HASH_START').tpmResult, 0xa)
      assert.equal(device.verb('SET_BUFFERSIZE', { bufferSize: 4096 }).bufferSize, 4096)
      assert.equal(device.verb('SHUTDOWN').tpmResult, 0)
      await waitFor(() => !existsSync(`/dev/${name}`), { what: 'the device to go away' })
    })
  }

  it('INIT fails with a state that is damaged or gone, which stays as it is', async (t) => {
    const directory = temporaryDirectory(t)
    const path = await fleet.cuse(t, '--tpmstate', `dir=${directory}`)
    const device = openDevice(t, path)
    device.command(TPM2.pcrExtend(16, Buffer.alloc(32, 1)))
    const pcr = device.command(TPM2.pcrRead(16))
    assert.equal(device.verb('STORE_VOLATILE').tpmResult, 0)
    const init = (): number => device.verb('INIT', { initFlags: 0 }).tpmResult
    const copy = temporaryDirectory(t)
    for (const [name, damaged, said] of [
      ['permall', 'damaged', /Cannot use state "tpm2-00.permall": 7 bytes are too few/],
      ['permall', undefined, /permall" is gone; put it back/],
      ['volatilestate', 'damaged', /"tpm2-00.volatilestate": .*; mend it, or move it away/],
    ] as const) {
      assert.equal(device.verb('STOP').tpmResult, 0)
      const file = `${directory}/tpm2-00.${name}`
      renameSync(file, `${file}.away`)
      if (damaged !== undefined) writeFileSync(file, damaged)
      const files = readdirSync(directory)
      assert.equal(init(), 0x101, name)
      await waitFor(() => said.test(fleet.swtpm.stderr), { what: `${name}: ${said}` })
      assert.deepEqual(readdirSync(directory), files)
      if (damaged !== undefined) assert.equal(readFileSync(file, 'utf8'), damaged)
      for (const of of ['permall', 'volatilestate'])
        if (damaged !== undefined) copyFileSync(`${directory}/tpm2-00.${of}`, `${copy}/tpm2-00.${of}`)
      renameSync(`${file}.away`, file)
    }
    assert.equal(init(), 0)
    assert.deepEqual(device.command(TPM2.pcrRead(16)), pcr)

    // In the copy the volatile state is damaged: what powers on at the start ends, and makes no device.
    for (const words of [
      ['chardev', '--vtpm-proxy', '--tpm2'],
      ['cuse', '-n', deviceName(), ...STARTED],
    ]) {
      const said = await fleet.refusal(t, [...words, '--tpmstate', `dir=${copy}`])
      assert.match(said ?? 'served', /Cannot start the TPM/)
      assert.equal(readFileSync(`${copy}/tpm2-00.volatilestate`, 'utf8'), 'damaged')
    }
  })

  it('hashes into PCR 17 as a dynamic launch does', async (t) => {
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    device.verb('HASH_START')
    device.verb('HASH_DATA', { length: 3, data: Buffer.from('abc') })
    device.verb('HASH_END')
    const digest = createHash('sha256').update('abc').digest()
    const pcr = createHash('sha256').update(Buffer.alloc(32)).update(digest).digest()
    assert.deepEqual(device.command(TPM2.pcrRead(17)).subarray(-32), pcr)
  })

  it('answers ioctls of wrong number or size with EINVAL, and goes on', async (t) => {
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    const sized = (name: 'INIT' | 'GET_STATEBLOB', bytes: number): number =>
      ((ioctlNumber(name) & ~(0x3fff << 16)) | (bytes << 16)) >>> 0
    for (const request of [
      0x80045013,
      0x80085001,
      sized('INIT', 8),
      sized('INIT', 16383),
      sized('GET_STATEBLOB', 16),
      ioctlNumber('SET_DATAFD'),
    ]) {
      assert.throws(() => device.raw(request, Buffer.alloc(16384)), { code: 'EINVAL' }, request.toString(16))
    }
    assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  })

  it('has one opener, answers a short write with 0x9a, and continues a partial read', async (t) => {
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    assert.throws(() => openDevice(t, path), { code: 'EBUSY' })
    assert.equal(responseCode(device.command(Buffer.from('800100', 'hex'))), 0x9a)
    device.write(TPM2.getRandom(32))
    const response = Buffer.concat([device.read(10), device.read(7), device.read()])
    assert.equal(response.length, response.readUInt32BE(2))
    assert.equal(device.read().length, 0)
    device.write(TPM2.getRandom(32))
    device.close()
    const next = openDevice(t, path)
    assert.equal(next.read().length, 0, 'the response of another client')
  })

  it('answers a read() after STOP, whatever was left unread', async (t) => {
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    device.write(TPM2.getRandom())
    assert.equal(device.verb('STOP').tpmResult, 0)
    assert.ok(device.read().length >= 0)
    assert.equal(device.verb('INIT', { initFlags: 0 }).tpmResult, 0)
    assert.equal(responseCode(device.command(TPM2.startupClear)), 0)
  })

  it('fails a waiting client when the engine is killed before INIT, and takes the device away', async (t) => {
    const { swtpm, path } = await startCuseTpm(t, ['--tpm2'])
    const device = openDevice(t, path)
    process.kill(await enginePid(swtpm.pid), 'SIGKILL')
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /engine has ended unexpectedly/)
    assert.equal(existsSync(path), false)
    assert.throws(
      () => device.write(TPM2.getRandom()),
      (error: NodeJS.ErrnoException) =>
        ['ENODEV', 'ECONNABORTED', 'ENOTCONN', 'EIO'].includes(error.code ?? ''),
    )
  })

  it('goes away with the supervisor, and the state is whole', async (t) => {
    const { swtpm, path, directory } = await startCuseTpm(t, STARTED)
    const engine = await enginePid(swtpm.pid)
    const device = openDevice(t, path)
    assert.equal(responseCode(device.command(TPM2.nvDefine())), 0)
    assert.equal(responseCode(device.command(TPM2.nvWrite(Buffer.alloc(32, 7)))), 0)
    device.close()
    await swtpm.stop('SIGKILL')
    await waitFor(() => !alive(engine), { what: 'the engine to end' })
    await waitFor(() => !existsSync(path), { what: 'the device to go away' })
    const again = await startCuseTpm(t, STARTED, directory)
    const handle = openDevice(t, again.path)
    assert.deepEqual(handle.command(TPM2.nvRead()).subarray(16, 48), Buffer.alloc(32, 7))
    assert.equal(handle.verb('SHUTDOWN').tpmResult, 0)
    assert.equal(await again.swtpm.exited, 0)
    assert.equal(existsSync(again.path), false)
  })

  it('accepts in-band SetLocality only where it is allowed', async (t) => {
    const setLocality = (loc: number): Buffer => tpm2(0x20001000, [Uint8Array.of(loc)])
    assert.equal(responseCode(openDevice(t, await fleet.cuse(t)).command(setLocality(1))), 0x101)
    const device = openDevice(t, await fleet.cuse(t, '--locality', 'allow-set-locality,reject-locality-4'))
    assert.equal(responseCode(device.command(setLocality(3))), 0)
    assert.equal(responseCode(device.command(setLocality(4))), 0x107)
    assert.equal(responseCode(device.command(setLocality(5))), 0x107)
  })
})
