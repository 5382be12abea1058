/** What `--pcap` records of a TPM's life. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const SHUTDOWN_STATE = Buffer.from('80010000000c000001450001', 'hex')

it('has the sizes that the reference tests for, with the TPM2_Shutdown that swtpm sends', async (t) => {
  const path = join(temporaryDirectory(t), 'trace')
  const { swtpm, controlPath, dataPath } = await startSocketTpm(t, [
    '--tpm2',
    '--pcap',
    `file=${path},mode=0600`,
  ])
  const size = (): number => statSync(path).size
  const control = await RawConnection.open(controlPath)
  control.write(`${CMD.INIT} 00000000`)
  assert.equal((await control.read(4)).readUInt32BE(), 0)
  assert.equal(size(), 312)
  const data = await RawConnection.open(dataPath)
  assert.equal(responseCode(await data.exchange(TPM2.startupClear)), 0)
  data.close()
  control.write(CMD.GET_CONFIG)
  await control.read(8)
  assert.equal(size(), 508)
  control.write(CMD.SHUTDOWN)
  assert.equal((await control.read(4)).readUInt32BE(), 0)
  assert.equal(await swtpm.exited, 0)
  assert.equal(size(), 1280 - 312)
  assert.ok(readFileSync(path).includes(SHUTDOWN_STATE))
})

it('has the Startup of --flags, and the TPM2_Shutdown after SIGTERM', async (t) => {
  const path = join(temporaryDirectory(t), 'trace')
  const { swtpm } = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear', '--pcap', `file=${path}`])
  assert.equal(await swtpm.stop(), 0)
  assert.ok(readFileSync(path).includes(TPM2.startupClear))
  assert.ok(readFileSync(path).includes(SHUTDOWN_STATE))
})
