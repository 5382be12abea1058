/** LXD's and Incus's way for virtual machines; the one for containers takes a kernel, see test/vm/lxd.test.ts. */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'

describe('LXD and Incus', () => {
  it('start a TPM for a virtual machine, its socket relative to the working directory', async (t) => {
    const cwd = temporaryDirectory(t)
    // A path that is far too long for a socket: that is why they name it from where they are.
    const instance = join(cwd, 'i'.repeat(120))
    mkdirSync(join(instance, 'tpm.vtpm'), { recursive: true })
    const swtpm = new Swtpm(
      [
        ...['socket', '--tpm2', '--tpmstate', `dir=${join(instance, 'tpm.vtpm')}`],
        ...['--ctrl', 'type=unixio,path=tpm.vtpm/swtpm-vtpm.sock'],
      ],
      { cwd: instance },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    await swtpm.until(() => existsSync(join(instance, 'tpm.vtpm/swtpm-vtpm.sock')), 'its socket')

    process.chdir(instance)
    t.after(() => process.chdir('/'))
    const vmm = new VmmClient(t, 'tpm.vtpm/swtpm-vtpm.sock')
    const data = await vmm.handInData()
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.equal(responseCode(await data.command(TPM2.startupClear)), 0)
    assert.equal(await swtpm.stop(), 0)
    assert.equal(existsSync('tpm.vtpm/swtpm-vtpm.sock'), false)
    assert.ok(existsSync('tpm.vtpm/tpm2-00.permall'))
  })
})
