/** When the engine starts: of a TPM that waits for INIT, not before a client needs it. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { engineNow, enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, type SocketTpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const INIT = `${CMD.INIT}00000000`

/** The pid file is there, by which a manager moves the TPM to a control group. */
async function waitingTpm(t: Cleanup, args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<SocketTpm> {
  const pid = join(temporaryDirectory(t), 'pid')
  const tpm = await startSocketTpm(t, ['--tpm2', '--pid', `file=${pid}`, ...args], { env })
  await tpm.swtpm.until(() => existsSync(pid), 'the pid file')
  return tpm
}

async function ask(control: RawConnection, command: string, bytes: number): Promise<number> {
  control.write(command)
  return (await control.read(bytes)).readUInt32BE()
}

describe('the engine of a TPM that waits for INIT', () => {
  it('starts with the first control command, not with the connection', async (t) => {
    const { swtpm, controlPath, dataPath } = await waitingTpm(t)
    const control = await RawConnection.open(controlPath)
    assert.equal(engineNow(swtpm.pid), undefined)
    assert.equal(await ask(control, CMD.GET_CAPABILITY, 8), 0)
    await enginePid(swtpm.pid)
    assert.equal(await ask(control, INIT, 4), 0)
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.startupClear)
    assert.equal(responseCode(await data.readResponse()), 0)
    assert.equal(await swtpm.stop(), 0)
  })

  it('starts with the first client of the data channel', async (t) => {
    const { swtpm, dataPath } = await waitingTpm(t)
    assert.equal(engineNow(swtpm.pid), undefined)
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.startupClear)
    // There has been no INIT.
    assert.equal(responseCode(await data.readResponse()), 0x101)
    assert.equal(await swtpm.stop(), 0)
  })

  it('starts before the supervisor rests', async (t) => {
    const { swtpm, controlPath } = await waitingTpm(t, [], { SWTPM_REST_MS: '0' })
    await enginePid(swtpm.pid)
    const control = await RawConnection.open(controlPath)
    assert.equal(await ask(control, INIT, 4), 0)
    assert.equal(await swtpm.stop(), 0)
  })

  it('has the keys, whose file has been removed by then', async (t) => {
    const key = join(temporaryDirectory(t), 'key')
    writeFileSync(key, '00112233445566778899aabbccddeeff')
    const { swtpm, controlPath } = await waitingTpm(t, [
      '--key',
      `file=${key},format=hex,mode=aes-cbc,remove=true`,
    ])
    assert.equal(existsSync(key), false)
    const control = await RawConnection.open(controlPath)
    assert.equal(await ask(control, INIT, 4), 0)
    assert.equal(await swtpm.stop(), 0)
  })

  it('is not started for SIGUSR2 or the end', async (t) => {
    const { swtpm } = await waitingTpm(t)
    process.kill(swtpm.pid, 'SIGUSR2')
    assert.equal(await swtpm.stop(), 0)
    assert.equal(swtpm.stderr, '')
  })

  it('ends the TPM, and says why, when it cannot be started', async (t) => {
    const engine = join(temporaryDirectory(t), 'engine')
    writeFileSync(engine, '#!/bin/sh\necho "no libtpms here" >&2\nexit 3\n')
    chmodSync(engine, 0o755)
    const { swtpm, controlPath } = await waitingTpm(t, [], { SWTPM_ENGINE: engine })
    const control = await RawConnection.open(controlPath)
    control.write(INIT)
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /no libtpms here/)
    assert.match(swtpm.stderr, /Cannot start the engine|The engine has ended/)
  })
})
