/** systemd-vmspawn's way: a service that gets its listening control socket as descriptor 3. */

import assert from 'node:assert/strict'
import { closeSync, existsSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { CMD } from '../support/control-commands.ts'
import { enginePid } from '../support/processes.ts'
import { bin, type Cleanup, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { tool } from '../support/tools.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { waitFor } from '../support/wait.ts'

/** The service manager's part: it listens, and starts the service when it likes. */
function startUnit(t: Cleanup, args: (state: string) => string[], activation = true) {
  const state = temporaryDirectory(t)
  const path = join(state, 'sock')
  const listener = check(native.listenUnix(path, 0o600, 16), 'listen')
  const start = (): Swtpm => {
    // What socket activation sets; swtpm goes by its command line and lets it be.
    const env = activation ? { LISTEN_FDS: '1', LISTEN_FDNAMES: 'connection' } : {}
    const swtpm = new Swtpm(args(state), { stdio: [listener], env })
    t.after(() => swtpm.stop('SIGKILL'))
    return swtpm
  }
  t.after(() => closeSync(listener))
  return { state, path, listener, start }
}

const vmspawn = (state: string): string[] => [
  ...['socket', '--tpm2', '--tpmstate', `dir=${state}`],
  ...['--ctrl', 'type=unixio,fd=3'],
]

describe('systemd-vmspawn', () => {
  it('hands in a listening socket; the first client may be there before swtpm', async (t) => {
    const unit = startUnit(t, vmspawn)
    // ExecStartPre= of its service.
    await tool(bin('swtpm_setup'), ['--tpm-state', unit.state, '--tpm2', '--pcr-banks', 'sha256'])

    const vmm = new VmmClient(t, unit.path)
    const swtpm = unit.start()
    const data = await vmm.handInData()
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.equal(responseCode(await data.command(TPM2.startupClear)), 0)
    assert.equal(responseCode(await data.command(TPM2.pcrRead(0))), 0)
    // The machine ends: SHUTDOWN, and with it the service. The socket is the service manager's.
    assert.equal(await vmm.control(CMD.SHUTDOWN), '00000000')
    assert.equal(await swtpm.exited, 0, swtpm.stderr)
    assert.ok(existsSync(unit.path))
  })

  it('may start the service again on the same socket', async (t) => {
    const unit = startUnit(t, vmspawn)
    for (let round = 0; round < 2; round++) {
      const swtpm = unit.start()
      const vmm = new VmmClient(t, unit.path)
      assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
      vmm.close()
      assert.equal(await swtpm.stop(), 0, swtpm.stderr)
    }
  })

  it('gets a second client after the first one has gone', async (t) => {
    const unit = startUnit(t, vmspawn, false)
    unit.start()
    for (let round = 0; round < 2; round++) {
      const vmm = new VmmClient(t, unit.path)
      assert.equal((await vmm.control(CMD.GET_CAPABILITY, 8)).length, 16)
      vmm.close()
    }
  })
})

describe('a descriptor that was handed in', () => {
  it('may be a connection: swtpm ends with it', async (t) => {
    const state = temporaryDirectory(t)
    const [ours, theirs] = check(native.socketPair(), 'make a socket pair')
    const swtpm = new Swtpm(
      ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--ctrl', 'type=unixio,clientfd=3'],
      { stdio: [theirs] },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    closeSync(theirs)
    const request = Buffer.from('0000000200000000', 'hex')
    assert.equal(native.sendMessage(ours, request, 0, request.length, []), request.length)
    const answer = Buffer.alloc(16)
    await waitFor(() => native.receiveMessage(ours, answer, 0, answer.length, []) === 4, {
      what: 'the answer to INIT',
    })
    assert.equal(answer.readUInt32BE(), 0)
    closeSync(ours)
    assert.equal(await swtpm.exited, 0, swtpm.stderr)
  })

  it('is named when it is not what was said', async (t) => {
    const state = temporaryDirectory(t)
    for (const [ctrl, expected] of [
      ['type=unixio,fd=77', /77/],
      ['type=unixio,clientfd=77', /77/],
    ] as const) {
      const swtpm = new Swtpm(['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--ctrl', ctrl])
      t.after(() => swtpm.stop('SIGKILL'))
      assert.equal(await swtpm.exited, 1)
      assert.match(swtpm.stderr, expected)
    }
  })

  it('does not leak into the engine', async (t) => {
    const unit = startUnit(t, vmspawn)
    const swtpm = unit.start()
    const vmm = new VmmClient(t, unit.path)
    assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    const inode = /socket:\[(\d+)\]/.exec(readlinkSync(`/proc/self/fd/${unit.listener}`))?.[1]
    const open = await tool('ls', ['-l', `/proc/${await enginePid(swtpm.pid)}/fd`])
    assert.ok(inode !== undefined && !open.includes(`[${inode}]`), open)
  })
})
