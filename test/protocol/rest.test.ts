/** The supervisor that sleeps: what holds while there is no Node. @see docs/design/0007-sleeping-supervisor.md */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { isListening } from '../support/listening.ts'
import { alive, enginePid, nextEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { isAwake, untilAtRest } from '../support/rest.ts'
import { roundTrip } from '../support/round-trip.ts'
import {
  bin,
  type Cleanup,
  type SocketTpm,
  Swtpm,
  startSocketTpm,
  temporaryDirectory,
} from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

/** Long enough to be seen when it is awake. */
const REST_MS = '300'
const TPM_RC_CANCELED = 0x909
const STARTED = ['--tpm2', '--flags', 'startup-clear']

async function restingTpm(t: Cleanup, args = STARTED, env: NodeJS.ProcessEnv = {}): Promise<SocketTpm> {
  const tpm = await startSocketTpm(t, args, { env: { SWTPM_REST_MS: REST_MS, ...env } })
  assert.equal(await roundTrip(tpm.dataPath), 0)
  await untilAtRest(tpm.swtpm.pid)
  return tpm
}

async function verb(controlPath: string, command: string): Promise<number> {
  const control = await RawConnection.open(controlPath)
  control.write(command)
  const result = (await control.read(4)).readUInt32BE()
  control.close()
  return result
}

async function pcr(dataPath: string): Promise<string> {
  const data = await RawConnection.open(dataPath)
  data.write(TPM2.pcrRead(10))
  const response = await data.readResponse()
  assert.equal(responseCode(response), 0)
  data.close()
  return response.subarray(-32).toString('hex')
}

async function extend(dataPath: string): Promise<void> {
  const data = await RawConnection.open(dataPath)
  data.write(TPM2.pcrExtend(10, Buffer.alloc(32, 7)))
  assert.equal(responseCode(await data.readResponse()), 0)
  data.close()
}

describe('a TPM at rest', () => {
  it('is the keeper and its engine; commands and their clients wake nobody, a verb does', async (t) => {
    const { swtpm, dataPath, controlPath } = await restingTpm(t)
    for (let i = 0; i < 20; i++) {
      assert.equal(await roundTrip(dataPath), 0)
      assert.equal(isAwake(swtpm.pid), false)
    }
    assert.equal(await verb(controlPath, CMD.GET_CONFIG), 0)
    assert.equal(isAwake(swtpm.pid), true)
    await untilAtRest(swtpm.pid)
    assert.equal(await swtpm.stop(), 0)
    assert.equal(swtpm.stderr, '')
  })

  it('goes on answering a client of the control channel that stays', async (t) => {
    const { swtpm, controlPath } = await restingTpm(t)
    const control = await RawConnection.open(controlPath)
    for (let i = 0; i < 3; i++) {
      control.write(CMD.GET_CONFIG)
      assert.equal((await control.read(8)).readUInt32BE(), 0)
      await untilAtRest(swtpm.pid)
    }
    control.write(CMD.SHUTDOWN)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    assert.equal(await swtpm.exited, 0)
  })

  it('cancels a command', async (t) => {
    const { swtpm, dataPath, controlPath } = await restingTpm(t)
    const [data, control] = [await RawConnection.open(dataPath), await RawConnection.open(controlPath)]
    const client = new TpmClient(data)
    for (let n = 0; ; n++) {
      const response = client.ask(TPM2.createPrimaryRsa(3072, Buffer.from(`key ${n}`)))
      control.write(CMD.CANCEL_TPM_CMD)
      assert.equal((await control.read(4)).readUInt32BE(), 0)
      const code = responseCode(await response)
      if (code === TPM_RC_CANCELED) break
      // This key was made before Node was awake.
      assert.equal(code, 0)
      await client.succeed(TPM2.flushContext((await response).readUInt32BE(10)))
      await untilAtRest(swtpm.pid)
    }
    assert.equal(await swtpm.stop(), 0)
  })

  it('outlives its engine, and gets a new one by SIGUSR2', async (t) => {
    const { swtpm, dataPath } = await restingTpm(t)
    await extend(dataPath)
    const before = await pcr(dataPath)
    const first = await enginePid(swtpm.pid)
    process.kill(first, 'SIGKILL')
    const second = await nextEngine(swtpm.pid, first)
    assert.equal(await pcr(dataPath), before)
    await untilAtRest(swtpm.pid)
    process.kill(swtpm.pid, 'SIGUSR2')
    await nextEngine(swtpm.pid, second)
    await waitFor(() => !alive(second), { what: 'the old engine to end' })
    assert.equal(await pcr(dataPath), before)
    await untilAtRest(swtpm.pid)
    assert.equal(await swtpm.stop(), 0)
  })

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`ends by ${signal} without a Node: files removed, state stored`, async (t) => {
      const pid = join(temporaryDirectory(t), 'pid')
      const { swtpm, dataPath, controlPath, directory } = await restingTpm(t, [
        ...STARTED,
        ...['--pid', `file=${pid}`],
      ])
      await extend(dataPath)
      const engine = await enginePid(swtpm.pid)
      assert.equal(readFileSync(pid, 'utf8'), String(swtpm.pid))
      assert.equal(await swtpm.stop(signal), 0)
      for (const path of [pid, dataPath, controlPath]) assert.equal(existsSync(path), false, path)
      assert.equal(alive(engine), false)
      const again = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-state'], { directory })
      assert.equal(await roundTrip(again.dataPath), 0)
    })
  }

  it('ends with the client of a control channel that has `terminate`', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'control')
    const swtpm = new Swtpm(
      [
        'socket',
        ...STARTED,
        '--tpmstate',
        `dir=${directory}`,
        '--ctrl',
        `type=unixio,path=${path},terminate`,
      ],
      { env: { SWTPM_REST_MS: REST_MS } },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    await swtpm.until(() => isListening(path), 'it listens')
    const control = await RawConnection.open(path)
    control.write(CMD.GET_CONFIG)
    await control.read(8)
    await untilAtRest(swtpm.pid)
    control.close()
    assert.equal(await swtpm.exited, 0)
    assert.equal(existsSync(path), false)
  })

  it('serves on while Node cannot be started, and answers when it can again', async (t) => {
    const folder = temporaryDirectory(t)
    const [there, away] = [join(folder, 'node'), join(folder, 'away')]
    symlinkSync(process.execPath, there)
    const { swtpm, dataPath, controlPath } = await restingTpm(t, STARTED, {
      PATH: `${folder}:${process.env.PATH}`,
    })
    renameSync(there, away)
    const answer = verb(controlPath, CMD.GET_CONFIG)
    await waitFor(() => /Cannot start ".*" again: .*No such file/.test(swtpm.stderr), { what: 'the reason' })
    assert.equal(await roundTrip(dataPath), 0)
    renameSync(away, there)
    assert.equal(await answer, 0)
    await untilAtRest(swtpm.pid)
    assert.equal(await swtpm.stop(), 0)
  })

  it('ends when the keeper is killed: the engine stores and lets the lock go', async (t) => {
    const { swtpm, directory, dataPath } = await restingTpm(t)
    await extend(dataPath)
    const engine = await enginePid(swtpm.pid)
    await swtpm.stop('SIGKILL')
    await waitFor(() => !alive(engine), { what: 'the engine to end' })
    const again = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-state'], { directory })
    assert.equal(await roundTrip(again.dataPath), 0)
  })

  it('holds the lock on its state', async (t) => {
    const { swtpm, directory } = await restingTpm(t)
    const other = join(temporaryDirectory(t), 'other')
    mkdirSync(other)
    const second = new Swtpm([
      ...['socket', ...STARTED, '--tpmstate', `dir=${directory}`],
      ...['--server', `type=unixio,path=${other}/data`],
    ])
    assert.equal(await second.exited, 1)
    assert.match(second.stderr, new RegExp(`held by process ${swtpm.pid}\n`))
    assert.equal(isAwake(swtpm.pid), false)
  })
})

it('the keeper says what is missing, and ends, where it does not find Node', async () => {
  const swtpm = new Swtpm(['socket'], { program: bin('swtpm'), env: { PATH: '/nope' } })
  assert.equal(await swtpm.exited, 1)
  assert.match(swtpm.stderr, /Cannot find "node" in PATH: install Node.js 20 or later/)
})
