/** TrouSerS' daemon, the only user that a TPM 1.2 device has. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DeviceHandle } from '../../support/cuse-tpm.ts'
import { startProxyTpm } from '../../support/proxy-tpm.ts'
import type { Service } from '../../support/service.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'
import { startTcsd, stopTcsd, unseal, useTpm } from '../../support/tcsd.ts'
import { tool } from '../../support/tools.ts'
import { responseCode, TPM12 } from '../../support/tpm-commands.ts'

/** An address of this machine by which the daemon does not take a client for a local one. */
const REMOTE_ADDRESS = '10.30.3.1'

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
