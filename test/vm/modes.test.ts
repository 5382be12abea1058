/** What the kernel's driver makes of a TPM in some of the modes of `--mode`. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { openDevice } from '../support/cuse-tpm.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import type { Cleanup } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

async function start(t: Cleanup, ...modes: string[]) {
  const tpm = await startProxyTpm(t, ['--tpm2', ...modes.flatMap((mode) => ['--mode', mode])])
  const banks = (): string[] =>
    readdirSync(`/sys/class/tpm/tpm${tpm.number}`).filter((name) => name.startsWith('pcr-'))
  return { ...tpm, banks }
}

describe('the driver', () => {
  it('field-upgrade: has a device for the upgrade, and no resource manager', async (t) => {
    const { path, resourceManagerPath, banks } = await start(t, 'field-upgrade')
    const device = openDevice(t, path)
    assert.equal(responseCode(device.command(TPM2.getRandom())), 0x12d)
    device.close()
    assert.equal(existsSync(resourceManagerPath), false)
    assert.deepEqual(banks(), [])
  })

  it('banks=sha384: has the PCRs of this bank', async (t) => {
    const { resourceManagerPath, banks } = await start(t, 'banks=sha384')
    await waitFor(() => existsSync(resourceManagerPath), { what: 'the resource manager' })
    assert.deepEqual(banks(), ['pcr-sha384'])
  })

  it('no=SHA384, no=GetTestResult: finds as many commands as it is told of', async (t) => {
    const { resourceManagerPath, banks } = await start(t, 'no=SHA384', 'no=GetTestResult')
    await waitFor(() => existsSync(resourceManagerPath), { what: 'the resource manager' })
    assert.ok(banks().includes('pcr-sha256') && !banks().includes('pcr-sha384'))
  })

  it('slots=1/1, lockout: room for one key', async (t) => {
    const { path, resourceManagerPath } = await start(t, 'slots=1/1', 'lockout')
    const device = openDevice(t, path)
    assert.equal(responseCode(device.command(TPM2.createPrimaryEcc)), 0)
    assert.equal(responseCode(device.command(TPM2.createPrimaryEcc)), 0x902)
    device.close()
    assert.ok(existsSync(resourceManagerPath))
  })
})
