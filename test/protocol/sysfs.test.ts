/** `--sysfs`: a TPM's files, who serves them, and what is left of them at each end. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { alive, descendants, enginePid, nameOf, nextEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { Swtpm, startSocketTpm, temporaryDirectory, untilReady } from '../support/swtpm.ts'
import { filesBelow, isMounted, mountPoint, whyNoFuse } from '../support/sysfs.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { TPM2, TPM12, tpm12 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const TPM20 = ['--tpm2', '--flags', 'startup-clear']
const UID = 54_321
const error = (code: string) => (thrown: NodeJS.ErrnoException) => thrown.code === code
const gone = (path: string): Promise<unknown> => waitFor(() => !isMounted(path), { what: 'the mount to go' })
const nodeOf = (keeper: number): number =>
  descendants(keeper).find((pid) => /^(node|MainThread)$/.test(nameOf(pid))) as number

describe('--sysfs', { skip: whyNoFuse() }, () => {
  it('shows the PCRs of a TPM 2.0 as they are at the moment, to all users, and takes no change', async (t) => {
    const path = mountPoint(t)
    chmodSync(path, 0o755)
    const { dataPath } = await startSocketTpm(t, [...TPM20, '--sysfs', path])
    const client = await TpmClient.open(dataPath)
    // It listens before it has been started up.
    await client.succeed(TPM2.getRandom())
    const files = filesBelow(path)
    assert.deepEqual(
      [...files.keys()].filter((name) => !name.startsWith('pcr-')),
      ['device/description', 'tpm_version_major'],
    )
    assert.equal(files.get('tpm_version_major'), '2\n')
    assert.equal(files.get('pcr-sha256/16'), `${'0'.repeat(64)}\n`)
    assert.equal(files.get('pcr-sha1/17'), `${'F'.repeat(40)}\n`)
    await client.succeed(TPM2.pcrExtend(16, Buffer.alloc(32, 7)))
    const pcr = (await client.pcr(16)).toString('hex').toUpperCase()
    const file = join(path, 'pcr-sha256/16')
    assert.equal(readFileSync(file, 'latin1'), `${pcr}\n`)
    const other = spawnSync('cat', [file], { uid: UID, gid: UID, encoding: 'latin1' })
    assert.deepEqual([other.stdout, other.stderr], [`${pcr}\n`, ''])
    assert.throws(() => writeFileSync(file, '0'), error('EROFS'))
    assert.throws(() => mkdirSync(join(path, 'pcr-sha3')), error('EROFS'))
    for (const name of [
      'pcr-sha256/24',
      'pcr-sha256/016',
      'pcr-md5/0',
      'caps',
      'device/caps',
      `${'x'.repeat(255)}`,
    ])
      assert.throws(() => readFileSync(join(path, name)), error('ENOENT'), name)
    client.connection.close()
  })

  it('shows what a TPM 1.2 tells of itself', async (t) => {
    const path = mountPoint(t)
    const { dataPath } = await startSocketTpm(t, ['--flags', 'startup-clear', '--sysfs', path])
    const client = await TpmClient.open(dataPath)
    await client.succeed(TPM12.extend(16, Buffer.alloc(20, 1)))
    const value = (await client.succeed(TPM12.pcrRead(16))).subarray(-20).toString('hex').toUpperCase()
    const read = (name: string): string => readFileSync(join(path, name), 'latin1')
    assert.match(read('caps'), /^Manufacturer: 0x49424d00\nTCG version: 1\.2\nFirmware version: \d+\.\d+\n$/)
    assert.equal(read('device/pcrs').split('\n')[16], `PCR-16: ${value.replace(/../g, '$& ')}`)
    assert.equal(read('pcr-sha1/16'), `${value}\n`)
    assert.deepEqual(['active', 'enabled', 'owned', 'temp_deactivated'].map(read), [
      '1\n',
      '1\n',
      '0\n',
      '0\n',
    ])
    assert.equal(read('pubek'), '')
    client.connection.close()
  })

  it('cannot be read while the TPM is off, and shows it as it is when it is on again', async (t) => {
    const path = mountPoint(t)
    const { controlPath, dataPath } = await startSocketTpm(t, ['--tpm2', '--sysfs', path])
    const read = (name: string): string => readFileSync(join(path, name), 'latin1')
    assert.equal(read('tpm_version_major'), '2\n')
    assert.throws(() => read('pcr-sha256/0'), error('EIO'))
    const channel = await RawConnection.open(controlPath)
    const client = await TpmClient.open(dataPath)
    const verb = async (hex: string): Promise<void> => {
      channel.write(Buffer.from(hex, 'hex'))
      assert.equal((await channel.read(4)).toString('hex'), '00000000')
    }
    for (let turn = 0; turn < 2; turn++) {
      await verb(`${CMD.INIT}00000000`)
      // It has not been started up.
      assert.throws(() => read('pcr-sha256/0'), error('EIO'))
      await client.succeed(TPM2.startupClear)
      assert.equal(read('pcr-sha256/0'), `${'0'.repeat(64)}\n`)
      await verb(CMD.STOP)
      assert.throws(() => read('pcr-sha256/0'), error('EIO'))
      assert.ok(readdirSync(path).includes('pcr-sha256'))
    }
    channel.close()
    client.connection.close()
  })

  it('leaves alone what a client of a TPM 1.2 has saved for a suspend', async (t) => {
    const path = mountPoint(t)
    const { controlPath, dataPath } = await startSocketTpm(t, ['--flags', 'startup-clear', '--sysfs', path])
    const channel = await RawConnection.open(controlPath)
    const client = await TpmClient.open(dataPath)
    await client.succeed(TPM12.extend(10, Buffer.alloc(20, 1)))
    const before = readFileSync(join(path, 'pcrs'), 'latin1')
    await client.succeed(TPM12.saveState)
    for (const name of ['pcrs', 'enabled', 'pcr-sha1/16'])
      assert.throws(() => readFileSync(join(path, name)), error('EIO'), name)
    for (const verb of [CMD.STOP, `${CMD.INIT}00000000`]) {
      channel.write(Buffer.from(verb, 'hex'))
      assert.equal((await channel.read(4)).toString('hex'), '00000000')
    }
    await client.succeed(tpm12(0x99, '0002'), 'Startup(STATE)')
    assert.equal(readFileSync(join(path, 'pcrs'), 'latin1'), before)
    channel.close()
    client.connection.close()
  })

  it('waits for a command that takes long, and is there again after an engine has died or been replaced', async (t) => {
    const path = mountPoint(t)
    const { dataPath, swtpm } = await startSocketTpm(t, [...TPM20, '--sysfs', path])
    const client = await TpmClient.open(dataPath)
    await client.succeed(TPM2.getRandom())
    const file = join(path, 'pcr-sha256/0')
    const key = client.succeed(TPM2.createPrimaryRsa(2048, Buffer.alloc(256, 3)))
    const texts = await Promise.all(Array.from({ length: 20 }, () => readFile(file, 'latin1')))
    assert.deepEqual(new Set(texts), new Set([`${'0'.repeat(64)}\n`]))
    await key
    const engine = await enginePid(swtpm.pid)
    process.kill(engine, 'SIGKILL')
    assert.equal(await readFile(file, 'latin1'), texts[0])
    const second = await nextEngine(swtpm.pid, engine)
    process.kill(swtpm.pid, 'SIGUSR2')
    assert.equal(await readFile(file, 'latin1'), texts[0])
    await nextEngine(swtpm.pid, second)
    assert.equal(await readFile(file, 'latin1'), texts[0])
  })

  it('is gone when the TPM has ended, in whatever way', async (t) => {
    const path = mountPoint(t)
    for (const end of ['SIGTERM', 'SIGINT'] as const) {
      const { swtpm } = await startSocketTpm(t, [...TPM20, '--sysfs', path])
      assert.ok(isMounted(path))
      assert.equal(await swtpm.stop(end), 0, swtpm.stderr)
      assert.equal(isMounted(path), false)
    }
    for (const whose of [(keeper: number) => keeper, nodeOf]) {
      const { swtpm } = await startSocketTpm(t, [...TPM20, '--sysfs', path])
      process.kill(whose(swtpm.pid), 'SIGKILL')
      await gone(path)
    }
    // And whoever takes it away is killed too: the next one does.
    const { swtpm } = await startSocketTpm(t, [...TPM20, '--sysfs', path])
    const shell = descendants(swtpm.pid).find((pid) => nameOf(pid) === 'sh') as number
    process.kill(shell, 'SIGKILL')
    await swtpm.stop('SIGKILL')
    await waitFor(() => spawnSync('ls', [path]).status !== 0, { what: 'the end of the connection' })
    assert.throws(() => readdirSync(path), error('ENOTCONN'))
    const next = await startSocketTpm(t, [...TPM20, '--sysfs', path])
    assert.match(next.swtpm.stderr, /Took away what an earlier swtpm had left mounted/)
    assert.equal(readFileSync(join(path, 'tpm_version_major'), 'latin1'), '2\n')
  })

  it('is below a new root directory, and served by the user of --runas in the background', async (t) => {
    const root = temporaryDirectory(t)
    chownSync(root, UID, UID)
    mkdirSync(join(root, 'view'))
    t.after(() => spawnSync('umount', ['-l', join(root, 'view')]))
    const common = ['socket', ...TPM20, '--daemon', '--runas', String(UID), '--log', 'level=1']
    const inRoot = [
      '--chroot',
      root,
      '--tpmstate',
      'dir=/',
      '--ctrl',
      'type=unixio,path=/c',
      '--pid',
      'file=/pid',
    ]
    const parent = new Swtpm([...common, ...inRoot, '--sysfs', '/view'])
    assert.equal(await parent.exited, 0, parent.stderr)
    const pid = Number(readFileSync(join(root, 'pid'), 'latin1'))
    const view = filesBelow(join(root, 'view'))
    assert.equal(view.get('tpm_version_major'), '2\n')
    assert.equal(view.get('pcr-sha256/0'), `${'0'.repeat(64)}\n`)
    process.kill(pid, 'SIGTERM')
    await gone(join(root, 'view'))
    await waitFor(() => !alive(pid), { what: 'its end' })
  })

  it('keeps no descriptor of the user open', async (t) => {
    const swtpm = new Swtpm(
      [
        ...['socket', ...TPM20, '--tpmstate', `dir=${temporaryDirectory(t)}`, '--ready-fd', '3'],
        ...['--ctrl', `type=unixio,path=${join(temporaryDirectory(t), 'c')}`, '--sysfs', mountPoint(t)],
      ],
      { stdio: ['pipe'] },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    await untilReady(swtpm)
  })

  it('says what is wrong with the directory', async (t) => {
    const place = temporaryDirectory(t)
    writeFileSync(join(place, 'file'), '')
    mkdirSync(join(place, 'full/x'), { recursive: true })
    const mounted = mountPoint(t)
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mounted])
    for (const [path, text] of [
      [join(place, 'none'), `there is no such directory; \`mkdir -p ${join(place, 'none')}\` makes it`],
      [join(place, 'file'), 'it is no directory'],
      [
        join(place, 'full'),
        'it is not empty, and what is in it could not be seen any more; name an empty directory',
      ],
      [
        mounted,
        `something is mounted there already; \`umount ${mounted}\` takes it away, or name another directory`,
      ],
    ] as const) {
      const swtpm = new Swtpm([
        ...[
          'socket',
          ...TPM20,
          '--tpmstate',
          `dir=${place}`,
          '--ctrl',
          `type=unixio,path=${join(place, 'c')}`,
        ],
        ...['--sysfs', path],
      ])
      assert.notEqual(await swtpm.exited, 0)
      assert.ok(swtpm.stderr.includes(`Cannot mount --sysfs at "${path}": ${text}`), swtpm.stderr)
    }
  })
})

it('--sysfs is refused where it cannot be', async (t) => {
  for (const [args, text] of [
    [['--sysfs', ''], /--sysfs: the name of the directory is empty/],
    [
      ['--sysfs', '/x', '--behind', 'tcp:localhost:1'],
      /--sysfs: the TPM behind gets the commands of clients/,
    ],
  ] as const) {
    const swtpm = new Swtpm(['socket', '--tpm2', '--server', 'port=0', ...args])
    t.after(() => swtpm.stop('SIGKILL'))
    assert.notEqual(await swtpm.exited, 0)
    assert.match(swtpm.stderr, text)
  }
})
