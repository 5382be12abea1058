/** `--sysfs` beside the kernel's own files of the same TPM, and on a CUSE device that a client is at. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DeviceHandle, openDevice, STARTED, startCuseTpm } from '../support/cuse-tpm.ts'
import { enginePid, nextEngine } from '../support/processes.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import { bin, temporaryDirectory } from '../support/swtpm.ts'
import { filesBelow, isMounted, mountPoint, whyNoFuse } from '../support/sysfs.ts'
import { tpm2Tools } from '../support/tools.ts'
import { responseCode, TPM2, TPM12, tpm12 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

/** What is the kernel's own and not the TPM's, and what takes a write. */
const OF_THE_KERNEL = ['dev', 'uevent', 'power', 'ppi', 'cancel', 'null_name']

/** Every file, byte for byte. */
function assertSame(number: number, path: string, skipped: readonly string[] = []): Map<string, string> {
  const shown = filesBelow(path, ['device', ...skipped])
  assert.deepEqual(shown, filesBelow(`/sys/class/tpm/tpm${number}`, [...OF_THE_KERNEL, ...skipped]))
  return shown
}

describe('--sysfs', { skip: whyNoFuse() }, () => {
  it('of a TPM 2.0 has the files of the kernel, in every bank', async (t) => {
    const path = mountPoint(t)
    const { number, resourceManagerPath, swtpm, directory } = await startProxyTpm(t, [
      '--tpm2',
      '--sysfs',
      path,
    ])
    const tpm2 = tpm2Tools(`device:${resourceManagerPath}`)
    const banks = assertSame(number, path).size
    assert.ok(banks > 2 * 24, `${banks} files`)
    await tpm2('pcrextend', `0:sha1=${'11'.repeat(20)},sha256=${'12'.repeat(32)},sha512=${'13'.repeat(64)}`)
    await tpm2('pcrevent', '16', bin('swtpm'))
    assert.match(assertSame(number, path).get('pcr-sha256/16') ?? '', /^[0-9A-F]{64}\n$/)
    assert.equal(readFileSync(join(path, 'device/description'), 'latin1'), 'TPM 2.0 Device\n')
    // Another allocation: what the kernel finds when it starts.
    await tpm2('pcrallocate', 'sha1:none+sha256:none+sha384:all+sha512:none')
    assert.equal(await swtpm.stop(), 0)
    const next = await startProxyTpm(t, ['--tpm2', '--sysfs', path], directory)
    const shown = assertSame(next.number, path)
    assert.deepEqual(
      [...shown.keys()].filter((name) => name.endsWith('/0')),
      ['pcr-sha384/0'],
    )
  })

  it('of a TPM 1.2 has the files of the kernel: new, in use, with a key, with an owner, deactivated', async (t) => {
    const path = mountPoint(t)
    const first = await startProxyTpm(t, ['--sysfs', path])
    const fresh = assertSame(first.number, path)
    assert.deepEqual(
      ['pubek', 'owned', 'enabled', 'active', 'temp_deactivated'].map((name) => fresh.get(name)),
      ['', '0\n', '1\n', '1\n', '0\n'],
    )
    const device = new DeviceHandle(first.path)
    assert.equal(responseCode(device.command(TPM12.extend(10, Buffer.alloc(20, 5)))), 0)
    const keyParameters = '00000001 0003 0001 0000000c 00000800 00000002 00000000'
    const createKey = tpm12(0x78, `${'00'.repeat(20)} ${keyParameters}`)
    assert.equal(responseCode(device.command(createKey)), 0)
    const keyed = assertSame(first.number, path)
    assert.match(keyed.get('pubek') ?? '', /^Algorithm: 00 00 00 01\n[\s\S]*Modulus length: 256\n/)
    assert.notEqual(keyed.get('pcrs'), fresh.get('pcrs'))
    // Physical presence, then SetTempDeactivated without authorization.
    for (const flags of ['0020', '0008']) device.command(tpm12(0x4000000a, flags))
    assert.equal(responseCode(device.command(tpm12(0x73))), 0)
    // It refuses to read PCRs now, of which Linux makes as many NUL bytes as the number of the error.
    const refused = ['pcr-sha1']
    assert.equal(assertSame(first.number, path, refused).get('temp_deactivated'), '1\n')
    assert.throws(() => readFileSync(join(path, 'pcr-sha1/0')), { code: 'EIO' })
    // PhysicalDisable
    assert.equal(responseCode(device.command(tpm12(0x70))), 0)
    assert.equal(assertSame(first.number, path, refused).get('enabled'), '0\n')
    device.close()
    assert.equal(await first.swtpm.stop(), 0)

    const owned = temporaryDirectory(t)
    execFileSync(bin('swtpm_setup'), ['--tpmstate', owned, '--createek', '--take-ownership'])
    const second = await startProxyTpm(t, ['--sysfs', path], owned)
    const shown = assertSame(second.number, path)
    assert.equal(shown.get('owned'), '1\n')
    assert.equal(shown.get('pubek'), '')
    assert.equal(readFileSync(join(path, 'device/owned'), 'latin1'), '1\n')
    assert.equal(await second.swtpm.stop(), 0)
  })

  it('disturbs no command of a client that holds the CUSE device, and goes on over engines', async (t) => {
    const path = mountPoint(t)
    const tpm = await startCuseTpm(t, [...STARTED, '--sysfs', path])
    const device = openDevice(t, tpm.path)
    let reads = 0
    let stop = false
    const reader = (async () => {
      for (; !stop; reads++) {
        assert.match(await readFile(join(path, 'pcr-sha256/16'), 'latin1'), /^[0-9A-F]{64}\n$/)
        assert.equal(await readFile(join(path, 'pcr-sha1/0'), 'latin1'), `${'0'.repeat(40)}\n`)
      }
    })()
    let engine = await enginePid(tpm.swtpm.pid)
    for (let turn = 0; turn < 120; turn++) {
      device.write(TPM2.pcrExtend(16, Buffer.alloc(32, turn)))
      assert.equal(responseCode(await device.readLater()), 0, `extend ${turn}`)
      device.write(TPM2.getRandom(16))
      assert.equal((await device.readLater()).length, 28, `random ${turn}`)
      if (turn % 40 === 39) {
        if (turn === 39) process.kill(tpm.swtpm.pid, 'SIGUSR2')
        else process.kill(engine, 'SIGKILL')
        engine = await nextEngine(tpm.swtpm.pid, engine)
      }
    }
    stop = true
    await reader
    assert.ok(reads > 0)
    const pcr = device.command(TPM2.pcrRead(16)).subarray(-32).toString('hex').toUpperCase()
    assert.equal(readFileSync(join(path, 'pcr-sha256/16'), 'latin1'), `${pcr}\n`)

    // A key that takes long: who reads waits, and cancels nothing.
    device.write(TPM2.createPrimaryRsa(2048, Buffer.alloc(256, 9)))
    const [response, text] = await Promise.all([
      device.readLater(),
      readFile(join(path, 'pcr-sha256/16'), 'latin1'),
    ])
    assert.equal(responseCode(response), 0)
    assert.equal(text, `${pcr}\n`)
    device.write(TPM2.createPrimaryRsa(2048, Buffer.alloc(256, 10)))
    const late = readFile(join(path, 'pcr-sha256/16'), 'latin1')
    device.verb('CANCEL_TPM_CMD')
    assert.ok([0, 0x909].includes(responseCode(await device.readLater())))
    assert.equal(await late, `${pcr}\n`)

    assert.equal(device.verb('STOP').tpmResult, 0)
    assert.throws(() => readFileSync(join(path, 'pcr-sha256/16')), { code: 'EIO' })
    assert.equal(device.verb('INIT', { initFlags: 0 }).tpmResult, 0)
    assert.equal(responseCode(device.command(TPM2.startupClear)), 0)
    assert.equal(readFileSync(join(path, 'pcr-sha256/16'), 'latin1'), `${'0'.repeat(64)}\n`)
    device.close()
    assert.equal(await tpm.swtpm.stop(), 0, tpm.swtpm.stderr)
    assert.equal(isMounted(path), false)
  })

  it('is where evmctl reads the PCRs of a TPM 1.2, in place of /sys/class/tpm/tpm0', async (t) => {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/sys/class/tpm'])
    t.after(() => execFileSync('umount', ['-l', '/sys/class/tpm']))
    const path = '/sys/class/tpm/tpm0'
    mkdirSync(path)
    const tpm = await startCuseTpm(t, ['--flags', 'startup-clear', '--sysfs', path])
    const device = openDevice(t, tpm.path)
    const pcrs = []
    for (let index = 0; index < 8; index++) {
      device.command(TPM12.extend(index, Buffer.alloc(20, index)))
      pcrs.push(device.command(TPM12.pcrRead(index)).subarray(-20))
    }
    const aggregate = createHash('sha1').update(Buffer.concat(pcrs)).digest('hex')
    const said = spawnSync('evmctl', ['ima_boot_aggregate'], { encoding: 'utf8' })
    assert.ok(said.stdout.includes(`sha1:${aggregate}`), `${said.stdout}${said.stderr}`)
    assert.equal(await tpm.swtpm.stop(), 0)
  })

  it('is gone after a SIGKILL, of the keeper and of the supervisor', async (t) => {
    const path = mountPoint(t)
    const tpm = await startCuseTpm(t, [...STARTED, '--sysfs', path])
    const open = new DeviceHandle(tpm.path)
    assert.equal(responseCode(open.command(TPM2.getRandom())), 0)
    open.close()
    await tpm.swtpm.stop('SIGKILL')
    await waitFor(() => !isMounted(path) && !existsSync(tpm.path), { what: 'mount and device to go' })
  })
})
