/** LXD's and Incus's way for containers: the device is read off standard output. */
import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DeviceHandle } from '../support/cuse-tpm.ts'
import { bin, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

describe('LXD and Incus', () => {
  it('take major and minor from the log as soon as there is something in it', async (t) => {
    const directory = temporaryDirectory(t)
    const log = join(directory, 'tpm.vtpm.log')
    // The shell opens the file as standard output, as their subprocess package does, and becomes swtpm.
    const fd = openSync(log, 'wx')
    const swtpm = new Swtpm(
      ['-c', 'exec "$@" >&3 2>/dev/null', 'sh', bin('swtpm'), 'chardev', '--tpm2'].concat([
        '--tpmstate',
        `dir=${directory}`,
        '--vtpm-proxy',
      ]),
      { program: '/bin/sh', stdio: [fd] },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    closeSync(fd)
    // They look once: as soon as the file is not empty, the line must be whole and the device there.
    const text = await waitFor(() => (statSync(log).size > 0 ? readFileSync(log, 'utf8') : ''), {
      what: 'something in the log',
    })
    const fields = text.split(' ')
    assert.ok(fields.length >= 7, text)
    const numbers = /^(\d+)\/(\d+)\)/.exec(fields[6] as string)
    assert.ok(numbers !== null, text)
    const [major, minor] = [Number(numbers[1]), Number(numbers[2])]
    const device = (path: string): string => {
      const { rdev } = statSync(path)
      return `${((rdev >> 8) & 0xfff) | 0}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`
    }
    assert.equal(device(fields[3] as string), `${major}:${minor}`)
    const resourceManager = (fields[3] as string).replace('tpm', 'tpmrm')
    await waitFor(() => existsSync(resourceManager), { what: resourceManager })

    const tpm = new DeviceHandle(fields[3] as string)
    assert.equal(responseCode(tpm.command(TPM2.getRandom())), 0)
    tpm.close()
    // They stop it with SIGKILL or a signal to the pid that they started; that is swtpm itself.
    assert.match(readFileSync(`/proc/${swtpm.pid}/cmdline`, 'utf8'), /swtpm\0chardev/)
    assert.equal(await swtpm.stop(), 0)
  })
})
