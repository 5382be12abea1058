/** `swtpm chardev` on a real kernel: the kernel's own /dev/tpmN, and descriptors handed in. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { DeviceDirectory } from '../../src/system/io/device-directory.ts'
import { newProxyDevice, registered } from '../../src/vtpm-proxy/new-device.ts'
import { DeviceHandle } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { enginePid } from '../support/processes.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import { suiteCleanup } from '../support/suite.ts'
import { projectRoot, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { tpm2Tools } from '../support/tools.ts'
import { responseCode, TPM2, TPM12 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const sysfs = (number: number, entry: string): string =>
  readFileSync(`/sys/class/tpm/tpm${number}/${entry}`, 'utf8').trim()

describe('swtpm chardev --vtpm-proxy', () => {
  const shared = suiteCleanup()
  let fleet: DeviceFleet
  before(async () => {
    fleet = await startDeviceFleet(shared)
  })

  it('makes a TPM 2.0 that the kernel knows, with its resource manager', async (t) => {
    const { swtpm, number, path, resourceManagerPath } = await startProxyTpm(t)
    for (const node of [path, resourceManagerPath]) assert.ok(statSync(node).isCharacterDevice(), node)
    assert.equal(
      swtpm.stdout.split('\n')[0],
      `New TPM device: ${path} (major/minor = ${sysfs(number, 'dev').replace(':', '/')})`,
    )
    // Programs that read both streams as one must find the path once.
    assert.equal((swtpm.stdout + swtpm.stderr).split(path).length, 2)
    assert.equal(sysfs(number, 'tpm_version_major'), '2')
    const tpm2 = tpm2Tools(`device:${resourceManagerPath}`)
    assert.match(await tpm2('getrandom', '--hex', '8'), /^[0-9a-f]{16}$/)
    const digest = createHash('sha256').update('abc').digest()
    await tpm2('pcrextend', `16:sha256=${digest.toString('hex')}`)
    const expected = createHash('sha256').update(Buffer.alloc(32)).update(digest).digest('hex')
    assert.equal(sysfs(number, 'pcr-sha256/16').toLowerCase(), expected)
    assert.match((await tpm2('pcrread', 'sha256:16')).toLowerCase(), new RegExp(expected))
    assert.equal(await swtpm.stop(), 0)
    assert.equal(existsSync(path), false)
    assert.equal(existsSync(resourceManagerPath), false)
  })

  it('makes a TPM 1.2 with the sysfs entries of one', async (t) => {
    const { number, path, resourceManagerPath } = await fleet.proxy(t)
    assert.equal(sysfs(number, 'tpm_version_major'), '1')
    assert.match(sysfs(number, 'caps'), /TCG version: 1\.2/)
    assert.match(sysfs(number, 'pcrs'), /^PCR-00: 00 00/)
    assert.equal(existsSync(resourceManagerPath), false)
    const device = new DeviceHandle(path)
    assert.equal(responseCode(device.command(TPM12.getRandom())), 0)
    device.close()
  })

  it('keeps keys and NV over a clean stop', async (t) => {
    const first = await startProxyTpm(t)
    const before = tpm2Tools(`device:${first.resourceManagerPath}`)
    const data = join(first.directory, 'data')
    writeFileSync(data, 'kept over the stop')
    await before('nvdefine', '0x1500016', '-s', '18')
    await before('nvwrite', '0x1500016', '-i', data)
    await before('createprimary', '-c', `${first.directory}/primary.ctx`)
    await before('evictcontrol', '-c', `${first.directory}/primary.ctx`, '0x81000001')
    assert.equal(await first.swtpm.stop(), 0)
    const second = await startProxyTpm(t, ['--tpm2'], first.directory)
    const after = tpm2Tools(`device:${second.resourceManagerPath}`)
    assert.equal(await after('nvread', '0x1500016'), 'kept over the stop')
    assert.match(await after('getcap', 'handles-persistent'), /0x81000001/)
  })

  it('honours the SetLocality of the kernel, and refuses it from a user', async (t) => {
    const { path } = await fleet.proxy(t, '--tpm2')
    const device = new DeviceHandle(path)
    // The driver does not let a user send it: EFAULT, without asking the TPM.
    assert.throws(() => device.write(Buffer.from('80010000000b2000100001', 'hex')), { code: 'EFAULT' })
    assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
    device.close()
  })

  it('gives every user an error at once when no other engine can take over, and goes away', async (t) => {
    const program = join(temporaryDirectory(t), 'tpm-engine')
    copyFileSync(join(projectRoot, 'native/build/Release/tpm-engine'), program)
    const { swtpm, path } = await startProxyTpm(t, ['--tpm2'], undefined, { SWTPM_ENGINE: program })
    const device = new DeviceHandle(path)
    device.command(TPM2.getRandom())
    rmSync(program)
    process.kill(await enginePid(swtpm.pid), 'SIGKILL')
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /engine has ended unexpectedly/)
    assert.throws(() => device.command(TPM2.getRandom()), { code: 'EPIPE' })
    device.close()
    await waitFor(() => !existsSync(path), { what: 'the device to go away' })
  })

  it('goes away when the supervisor is killed', async (t) => {
    const { swtpm, path } = await startProxyTpm(t)
    await swtpm.stop('SIGKILL')
    await waitFor(() => !existsSync(path), { what: 'the device to go away' })
  })

  it('lets SIGTERM end it right after a client has closed', async (t) => {
    const { swtpm, path } = await startProxyTpm(t)
    const device = new DeviceHandle(path)
    device.command(TPM2.getRandom())
    device.close()
    assert.equal(await swtpm.stop(), 0)
  })

  it('serves several TPMs at once, each with its own state', async (t) => {
    const a = await fleet.proxy(t, '--tpm2')
    const b = await fleet.proxy(t, '--tpm2')
    assert.notEqual(a.path, b.path)
    const digest = createHash('sha256').update('only a').digest('hex')
    await tpm2Tools(`device:${a.resourceManagerPath}`)('pcrextend', `16:sha256=${digest}`)
    assert.match(sysfs(b.number, 'pcr-sha256/16'), /^0{64}$/)
    assert.doesNotMatch(sysfs(a.number, 'pcr-sha256/16'), /^0{64}$/)
  })
})

describe('swtpm chardev -f', () => {
  it('serves a proxy that a broker has made and handed in', async (t) => {
    const directory = temporaryDirectory(t)
    const device = newProxyDevice('2', DeviceDirectory.open(), '')
    const swtpm = new Swtpm(
      [
        ...[
          'chardev',
          '--fd',
          '3',
          '--tpm2',
          '--tpmstate',
          `dir=${directory}`,
          '--flags',
          'not-need-init,startup-clear',
        ],
        ...['--locality', 'reject-locality-4,allow-set-locality'],
      ],
      { stdio: [device.serverFd] },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    closeSync(device.serverFd)
    assert.ok(await registered(device, DeviceDirectory.open()))
    const handle = new DeviceHandle(`/dev/tpm${device.tpmNum}`)
    assert.equal(responseCode(handle.command(TPM2.getRandom())), 0)
    handle.close()
    assert.equal(await swtpm.stop(), 0)
  })
})
