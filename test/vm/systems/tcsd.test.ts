/** TrouSerS' daemon, the only user that a TPM 1.2 device has, and Debian's tpm-tools as its clients. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DeviceHandle } from '../../support/cuse-tpm.ts'
import { startProxyTpm } from '../../support/proxy-tpm.ts'
import { listens, Service } from '../../support/service.ts'
import { type Cleanup, Swtpm, temporaryDirectory } from '../../support/swtpm.ts'
import { tool } from '../../support/tools.ts'
import { responseCode, TPM12 } from '../../support/tpm-commands.ts'
import { waitFor } from '../../support/wait.ts'

/** The port of the daemon's own documentation. */
const PORT = 30003
/** Where `tcsd -e` looks for its TPM unless told otherwise. */
const SOFTWARE_TPM_PORT = 6545
/** An address of this machine by which the daemon does not take a client for a local one. */
const REMOTE_ADDRESS = '10.30.3.1'

interface TcsdOptions {
  readonly softwareTpm?: boolean
  /** Lines of the configuration file. */
  readonly settings?: readonly string[]
}

/** `tcsd -f`, listening; its files are in `directory`. */
async function startTcsd(t: Cleanup, directory: string, options: TcsdOptions = {}): Promise<Service> {
  const file = join(directory, 'tcsd.conf')
  const lines = [
    `port = ${PORT}`,
    `system_ps_file = ${directory}/system.data`,
    ...(options.settings ?? []),
    '',
  ]
  writeFileSync(file, lines.join('\n'))
  // The daemon insists on the owner and the mode of its configuration, and gives up its privileges.
  const [, , uid, gid] = (await tool('getent', ['passwd', 'tss'])).split(':')
  chownSync(file, 0, Number(gid))
  chmodSync(file, 0o640)
  chownSync(directory, Number(uid), Number(gid))
  const tcsd = new Service(t, '/usr/sbin/tcsd', ['-f', '-c', file, ...(options.softwareTpm ? ['-e'] : [])])
  await tcsd.until(() => listens(PORT), 'it listens')
  return tcsd
}

async function stopTcsd(tcsd: Service): Promise<void> {
  await tcsd.stop()
  await waitFor(async () => !(await listens(PORT)), { what: "tcsd's port to be free" })
}

/** Owner and storage root key have the well-known secret, so that no tool asks for a password. */
const takeOwnership = (): Promise<string> =>
  tool('tpm_takeownership', ['--owner-well-known', '--srk-well-known'])

const unseal = (file: string): Promise<string> => tool('tpm_unsealdata', ['-z', '-i', file])

/** The common way from a new TPM to an owner with sealed data, and what is left of it after a restart of everything. */
async function useTpm(directory: string, restart: (sealed: string) => Promise<void>): Promise<void> {
  const version = await tool('tpm_version', [])
  assert.match(version, /Chip Version:\s+1\.2\./)
  assert.match(version, /TPM Vendor ID:\s+IBM/)
  assert.match(await tool('tpm_selftest', []), /TPM Test Results:/)

  await assert.rejects(tool('tpm_getpubek', []), 'there is no endorsement key yet')
  await tool('tpm_createek', [])
  assert.match(await tool('tpm_getpubek', []), /Key Size:\s+2048 bits/)
  await takeOwnership()
  const endorsementKey = await tool('tpm_getpubek', ['-z'])

  const secret = `kept by the TPM: ${randomBytes(300).toString('hex')}`
  const [plain, sealed] = [join(directory, 'plain'), join(directory, 'sealed')]
  writeFileSync(plain, secret)
  await tool('tpm_sealdata', ['-z', '-p', '16', '-i', plain, '-o', sealed])
  assert.match(readFileSync(sealed, 'latin1'), /BEGIN TSS/)
  assert.equal(await unseal(sealed), secret)

  const area = ['-i', '0x11', '-s', '32']
  await tool('tpm_nvdefine', [...area, '-y', '-z', '-p', 'AUTHREAD|AUTHWRITE'])
  await tool('tpm_nvwrite', ['-i', '0x11', '-z', '-d', 'thirty-two bytes of NV memory...'])
  const readArea = async (): Promise<string> => {
    const file = join(directory, 'area')
    await tool('tpm_nvread', [...area, '-z', '-f', file])
    return readFileSync(file, 'utf8')
  }
  assert.equal(await readArea(), 'thirty-two bytes of NV memory...')

  await restart(sealed)
  assert.equal(await tool('tpm_getpubek', ['-z']), endorsementKey)
  assert.equal(await readArea(), 'thirty-two bytes of NV memory...')
  // The storage root key is found by what the daemon's system persistent storage says of it.
  assert.equal(await unseal(sealed), secret)
}

describe('tcsd', () => {
  it('on /dev/tpm0 of the vTPM proxy: an owner, sealed data and NV memory outlive both daemons', async (t) => {
    const directory = temporaryDirectory(t)
    const daemons = temporaryDirectory(t)
    const start = async (): Promise<[Awaited<ReturnType<typeof startProxyTpm>>, Service]> => {
      const tpm = await startProxyTpm(t, [], directory)
      assert.equal(tpm.path, '/dev/tpm0', 'the only device that tcsd looks for')
      return [tpm, await startTcsd(t, daemons)]
    }
    let [tpm, tcsd] = await start()
    const owned = (): string => readFileSync(`/sys/class/tpm/tpm${tpm.number}/owned`, 'utf8').trim()
    assert.equal(owned(), '0')
    await useTpm(daemons, async (sealed) => {
      assert.throws(() => new DeviceHandle(tpm.path), { code: 'EBUSY' }, 'a TPM 1.2 has one user')
      // Only this test can extend the PCR while tcsd is away. What was sealed to it stays sealed until it is reset.
      await stopTcsd(tcsd)
      const device = new DeviceHandle(tpm.path)
      assert.equal(responseCode(device.command(TPM12.extend(16, Buffer.alloc(20, 1)))), 0)
      device.close()
      tcsd = await startTcsd(t, daemons)
      await assert.rejects(unseal(sealed))
      await stopTcsd(tcsd)
      assert.equal(await tpm.swtpm.stop(), 0)
      ;[tpm, tcsd] = await start()
    })
    assert.equal(owned(), '1')
    await tool('tpm_clear', ['-z'])
    assert.equal(owned(), '0')
    await assert.rejects(unseal(join(daemons, 'sealed')))
  })

  it('-e, on our TCP socket: the same, with a connection for every command', async (t) => {
    const directory = temporaryDirectory(t)
    const daemons = temporaryDirectory(t)
    const start = async (): Promise<[Swtpm, Service]> => {
      const swtpm = new Swtpm([
        ...['socket', '--tpmstate', `dir=${directory}`, '--server', `type=tcp,port=${SOFTWARE_TPM_PORT}`],
        ...['--flags', 'not-need-init,startup-clear'],
      ])
      t.after(() => swtpm.stop('SIGKILL'))
      await swtpm.until(() => listens(SOFTWARE_TPM_PORT), 'it listens')
      return [swtpm, await startTcsd(t, daemons, { softwareTpm: true })]
    }
    let [swtpm, tcsd] = await start()
    await useTpm(daemons, async () => {
      await stopTcsd(tcsd)
      assert.equal(await swtpm.stop(), 0)
      ;[swtpm, tcsd] = await start()
    })
    await tool('tpm_clear', ['-z'])
  })

  it('lets remote clients do what remote_ops names, and no more', async (t) => {
    await startProxyTpm(t, [])
    const daemons = temporaryDirectory(t)
    await tool('ip', ['address', 'add', `${REMOTE_ADDRESS}/32`, 'dev', 'lo'])
    t.after(() => tool('ip', ['address', 'del', `${REMOTE_ADDRESS}/32`, 'dev', 'lo']))
    const fromAfar = (program: string): Promise<string> =>
      tool(program, [], { TSS_TCSD_HOSTNAME: REMOTE_ADDRESS })

    // Debian's daemon dies of the second connection from afar, whatever TPM it has: one for each client.
    const answers = async (remoteOps: string[], program: string, pattern?: RegExp): Promise<void> => {
      const settings = remoteOps.length > 0 ? [`remote_ops = ${remoteOps.join()}`] : []
      const tcsd = await startTcsd(t, daemons, { settings })
      if (pattern === undefined) await assert.rejects(fromAfar(program), `${program} with ${settings}`)
      else assert.match(await fromAfar(program), pattern)
      await stopTcsd(tcsd)
    }
    await answers([], 'tpm_version')
    await answers(['getcapability'], 'tpm_version', /Chip Version/)
    await answers(['getcapability'], 'tpm_selftest')
    await answers(['selftest', 'getcapability'], 'tpm_selftest', /TPM Test Results:/)
  })
})
