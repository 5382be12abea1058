import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DeviceClient } from '../../../src/ptm-client/device-client.ts'
import { GuardedDevice } from '../../../src/ptm-client/guarded-device.ts'

const TIMEOUT_MS = 5000

describe('GuardedDevice', () => {
  it('says that there is no such device', () => {
    assert.throws(() => new GuardedDevice('/dev/no-such-tpm', TIMEOUT_MS), {
      code: 'SWTPM_ERR_DEVICE',
      message: 'Unable to open device "/dev/no-such-tpm": no such file or directory; is the TPM running?',
    })
  })

  it('says that a device is none of swtpm cuse', async () => {
    const client = new DeviceClient('/dev/null', TIMEOUT_MS)
    await assert.rejects(client.call('INIT', { initFlags: 0 }), {
      code: 'SWTPM_ERR_DEVICE',
      message:
        'Could not execute PTM_INIT on device "/dev/null": inappropriate ioctl for device; ' +
        'only the devices of swtpm cuse take it',
    })
    client.close()
  })

  it('reads and writes', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    const path = join(directory, 'file')
    writeFileSync(path, 'abcdef')
    const device = new GuardedDevice(path, TIMEOUT_MS)
    device.write(Buffer.from('xy'), TIMEOUT_MS)
    assert.equal(device.read(3, TIMEOUT_MS).toString(), 'cde')
    assert.equal(device.read(100, TIMEOUT_MS).toString(), 'f')
    device.close()
  })
})
