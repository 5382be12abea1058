/** The device that `swtpm cuse` makes on a real kernel: its name, its numbers, its node, and what is said where there can be none. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { deviceName, STARTED } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { suiteCleanup } from '../support/suite.ts'
import { Swtpm, saidOnReadyFd, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

/** A number for character devices that nothing has. @see devices.txt of the kernel: 240 to 254 are for local use */
function freeMajor(): number {
  const taken = readFileSync('/proc/devices', 'utf8')
    .split('Block devices')[0]
    ?.split('\n')
    .map((line) => Number.parseInt(line, 10))
  for (let major = 240; major < 255; major++) if (!taken?.includes(major)) return major
  return assert.fail('no number for a device is free')
}

describe('the device of swtpm cuse', () => {
  const shared = suiteCleanup()
  let fleet: DeviceFleet
  before(async () => {
    // It sees mounts of its own.
    fleet = await startDeviceFleet(shared, ['unshare', '--mount'])
  })

  it('makes /dev/NAME with the numbers asked for, and goes to the background', async (t) => {
    const directory = temporaryDirectory(t)
    const name = deviceName()
    const path = `/dev/${name}`
    const [major, minor] = [freeMajor(), 7]
    const parent = new Swtpm(
      [
        ...['cuse', '-n', name, '-M', `${major}`, '-m', `${minor}`, '--tpm2', '--ready-fd', '3'],
        ...['--tpmstate', `dir=${directory}`, '--pid', `file=${directory}/pid`],
      ],
      { stdio: ['pipe'] },
    )
    assert.equal(await saidOnReadyFd(parent), 'READY=1\n', parent.stderr)
    const { rdev, mode } = statSync(path)
    assert.equal(await parent.exited, 0)
    assert.equal((mode & 0o170000).toString(8), '20000')
    assert.equal(rdev, (major << 8) | minor)
    const pid = Number(readFileSync(`${directory}/pid`, 'utf8'))
    assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /cuse/)
    process.kill(pid, 'SIGTERM')
    await waitFor(() => !existsSync(path), { what: 'the device to go away' })
  })

  it('fails in the background, too, when the kernel makes no device', async (t) => {
    const directory = temporaryDirectory(t)
    const parent = new Swtpm(
      [
        ...['cuse', '-n', deviceName(), '-M', '10', '-m', '231', ...STARTED, '--ready-fd', '3'],
        ...['--tpmstate', `dir=${directory}`, '--pid', `file=${directory}/pid`],
      ],
      { stdio: ['pipe'] },
    )
    assert.equal(await saidOnReadyFd(parent), '')
    assert.equal(await parent.exited, 1)
    assert.match(
      parent.stderr,
      /Cannot create device "\/dev\/vtpm\S+" with number 10:231: the .*number belongs to/,
    )
    assert.doesNotMatch(parent.stderr, /Serving/)
    assert.equal(existsSync(`${directory}/pid`), false)
  })

  it('says what has the name or the number', async (t) => {
    const path = await fleet.cuse(t)
    const taken = statSync(path).rdev
    const numbers = ['-M', `${taken >> 8}`, '-m', `${taken & 0xff}`]
    const link = `/dev/${deviceName()}`
    symlinkSync('/nowhere', link)
    t.after(() => unlinkSync(link))
    for (const [name, options, reason] of [
      [path.slice(5), [], /already exists/],
      ['null', [], /already exists/],
      ['shm', [], /already exists/],
      [link.slice(5), [], /already exists/],
      [deviceName(), numbers, new RegExp(`the number belongs to device "${path.slice(5)}"`)],
      [deviceName(), ['-M', '1', '-m', '200'], /with number 1:200: the major number belongs to "mem"/],
      ['a!b', [], /contains a "!"/],
    ] as const) {
      const said = await fleet.refusal(t, ['cuse', '-n', name, '--tpm2', ...options])
      assert.match(said ?? 'served', reason, name)
    }
  })

  it('makes nodes of unusual names, and with the highest numbers', async (t) => {
    const unusual = deviceName()
    for (const [name, options] of [
      [`${unusual} %s c"d\\e='f'`, []],
      [unusual.padEnd(255, 'x'), []],
      [`${unusual}\u00e9.`, ['-m', '1048575']],
    ] as const) {
      assert.equal(await fleet.refusal(t, ['cuse', '-n', name, '--tpm2', ...options]), undefined)
      assert.ok(statSync(`/dev/${name}`).isCharacterDevice(), name)
    }
  })

  it('ends when the kernel takes the device away', async (t) => {
    const path = await fleet.cuse(t)
    writeFileSync(`/sys/class/cuse/${path.slice(5)}/abort`, '1')
    await waitFor(() => fleet.swtpm.stderr.includes(`the kernel has taken device "${path}" away`), {
      what: 'the end',
    })
    await waitFor(() => !existsSync(path), { what: 'the node to go away' })
  })

  it("finds no node in a /dev that is not the kernel's, and says what to do", async (t) => {
    const run = (command: string): void =>
      void execFileSync('nsenter', ['-t', `${fleet.swtpm.pid}`, '-m', 'sh', '-c', command])
    run(
      'mount -t tmpfs none /mnt && cp -a /dev/null /dev/urandom /dev/cuse /dev/vtpmx /mnt && mount --move /mnt /dev',
    )
    t.after(() => run('umount --lazy /dev'))
    const [name, major] = [deviceName(), freeMajor()]
    const cuse = ['cuse', '-n', name, '--tpm2'] as const
    assert.match(
      (await fleet.refusal(t, [...cuse, '-M', `${major}`, '-m', '7'])) ?? 'served',
      new RegExp(`"/dev" is not the kernel's devtmpfs.*\`mknod /dev/${name} c ${major} 7\``),
    )
    run(`mknod /dev/${name} c ${major} 7`)
    assert.match((await fleet.refusal(t, cuse)) ?? 'served', new RegExp(`--maj ${major} --min 7$`))
    assert.equal(await fleet.refusal(t, [...cuse, '-M', `${major}`, '-m', '7']), undefined)

    // The numbers of a new device of the proxy are not known before.
    assert.equal(await fleet.refusal(t, ['chardev', '--vtpm-proxy', '--tpm2']), undefined)
    assert.match(fleet.swtpm.stderr, /There is no node for the new device/)

    run('mount -o remount,nodev /dev')
    const closed = await fleet.refusal(t, ['cuse', '-n', deviceName(), '--tpm2'])
    assert.match(closed ?? 'served', /Cannot open "\/dev\/cuse": permission denied.*--device \/dev\/cuse/)
    run('rm /dev/cuse')
    const missing = await fleet.refusal(t, ['cuse', '-n', deviceName(), '--tpm2'])
    assert.match(
      missing ?? 'served',
      /Cannot open "\/dev\/cuse": no such file.*only the node is missing.*`mknod \/dev\/cuse c 10 203`/,
    )
  })
})
