/** `swtpm chardev -c`: a character device by its path. A pseudo-terminal is one that any machine has. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { isListening } from '../support/listening.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

describe('swtpm chardev -c', () => {
  it('reads commands from the device and writes responses to it', async (t) => {
    const directory = temporaryDirectory(t)
    const [tty, socket] = [`${directory}/tty`, `${directory}/socket`]
    const pair = new Swtpm([`PTY,link=${tty},raw,echo=0`, `UNIX-LISTEN:${socket}`], { program: 'socat' })
    t.after(() => pair.stop('SIGKILL'))
    await pair.until(() => existsSync(tty), 'the terminal exists')
    const swtpm = new Swtpm([
      'chardev',
      '-c',
      tty,
      '--tpm2',
      '--flags',
      'startup-clear',
      '--tpmstate',
      `dir=${directory}`,
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    await pair.until(() => isListening(socket), 'the other end exists')
    const user = await RawConnection.open(socket)
    user.write(TPM2.getRandom())
    assert.equal(responseCode(await user.readResponse()), 0)
    user.close()
    // The other end of the device is gone: there is nothing left to serve.
    assert.equal(await swtpm.exited, 0)
  })

  it('names a device that cannot be opened', async (t) => {
    const directory = temporaryDirectory(t)
    const swtpm = new Swtpm([
      'chardev',
      '-c',
      `${directory}/none`,
      '--tpm2',
      '--tpmstate',
      `dir=${directory}`,
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /Cannot open .*none/)
  })

  it('leaves a regular file alone', async (t) => {
    const directory = temporaryDirectory(t)
    const file = `${directory}/commands`
    writeFileSync(file, 'precious')
    const swtpm = new Swtpm(['chardev', '-c', file, '--tpm2', '--tpmstate', `dir=${directory}`])
    t.after(() => swtpm.stop('SIGKILL'))
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /Cannot serve ".*commands": it is a regular file, not a character device/)
    assert.equal(readFileSync(file, 'utf8'), 'precious')
  })
})
