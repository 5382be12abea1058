/** TrouSerS' daemon on a TCP socket (`tcsd -e`). On a device of the kernel it is tested in test/vm/systems/tcsd.test.ts. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { listens, type Service } from '../support/service.ts'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { SOFTWARE_TPM_PORT, startTcsd, stopTcsd, useTpm } from '../support/tcsd.ts'
import { tool } from '../support/tools.ts'

const skip =
  (process.getuid?.() !== 0 && 'it takes root to start tcsd') ||
  (!existsSync('/usr/sbin/tcsd') && 'needs /usr/sbin/tcsd (Debian: apt install trousers tpm-tools)')

describe('tcsd -e on our TCP socket', () => {
  it('has an owner, sealed data and NV memory that outlive both daemons, with a connection for every command', {
    skip,
  }, async (t) => {
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
})
