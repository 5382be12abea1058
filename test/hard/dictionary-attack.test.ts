/**
 * A TPM 2.0 takes power lost without TPM2_Shutdown, after its protected objects were used, for an attempt to escape the
 * counting of wrong passwords, and counts it as one. So every clean way to stop must not look like that.
 */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { alive, enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { bin, type Cleanup, type SocketTpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { figure } from './support/scale.ts'

/** TPM_PT_LOCKOUT_COUNTER */
const lockoutCounter = tpm2(0x17a, ['00000006 0000020e 00000001'])

const ask = (data: RawConnection, command: Buffer): Promise<Buffer> => new TpmClient(data).ask(command)

const counter = async (data: RawConnection): Promise<number> => {
  const response = await ask(data, lockoutCounter)
  assert.equal(responseCode(response), 0)
  return response.readUInt32BE(23)
}

interface Running extends SocketTpm {
  readonly data: RawConnection
}

const control = (tpm: SocketTpm, ...args: string[]): Buffer =>
  execFileSync(bin('swtpm_ioctl'), ['--unix', tpm.controlPath, ...args])

/** How a TPM is stopped, and with which options it was started for that. */
const STOPS: readonly {
  readonly how: string
  readonly args?: readonly string[]
  stop(tpm: Running): unknown
}[] = [
  { how: 'SIGTERM', stop: ({ swtpm }) => swtpm.stop('SIGTERM') },
  { how: 'SIGINT', stop: ({ swtpm }) => swtpm.stop('SIGINT') },
  { how: 'SIGHUP', stop: ({ swtpm }) => swtpm.stop('SIGHUP') },
  { how: 'swtpm_ioctl -s', stop: (tpm) => control(tpm, '-s') },
  {
    how: 'swtpm_ioctl --stop, then SIGTERM',
    stop(tpm) {
      control(tpm, '--stop')
      return tpm.swtpm.stop()
    },
  },
  {
    how: 'swtpm_ioctl -i, then SIGTERM',
    stop(tpm) {
      control(tpm, '-i')
      return tpm.swtpm.stop()
    },
  },
  {
    how: 'the data client going away, with --terminate',
    args: ['--terminate'],
    stop: ({ data }) => data.close(),
  },
  {
    how: 'TPM2_Shutdown, then SIGTERM',
    async stop({ data, swtpm }) {
      assert.equal(responseCode(await ask(data, tpm2(0x145, [0]))), 0)
      await swtpm.stop()
    },
  },
  { how: 'the supervisor being killed', stop: ({ swtpm }) => swtpm.stop('SIGKILL') },
]

/** Starts a TPM and uses a protected index of its NV memory. */
async function used(t: Cleanup, directory: string, args: readonly string[] = []): Promise<Running> {
  const tpm = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear', ...args], { directory })
  const data = await RawConnection.open(tpm.dataPath)
  assert.equal(responseCode(await ask(data, TPM2.nvRead())), 0)
  return { ...tpm, data }
}

async function prepare(t: Cleanup): Promise<string> {
  const directory = temporaryDirectory(t)
  const { swtpm, dataPath } = await startSocketTpm(t, undefined, { directory })
  const data = await RawConnection.open(dataPath)
  for (const command of [TPM2.nvDefine(), TPM2.nvWrite(Buffer.alloc(32, 1))])
    assert.equal(responseCode(await ask(data, command)), 0)
  data.close()
  assert.equal(await swtpm.stop(), 0)
  return directory
}

async function counterAfter(t: Cleanup, directory: string): Promise<number> {
  const { swtpm, dataPath } = await startSocketTpm(t, undefined, { directory })
  const data = await RawConnection.open(dataPath)
  const value = await counter(data)
  data.close()
  assert.equal(await swtpm.stop(), 0)
  return value
}

describe('the dictionary-attack counter', () => {
  for (const { how, args, stop } of STOPS) {
    it(`unchanged by ${how}`, async (t) => {
      const directory = await prepare(t)
      for (let i = 0; i < 2; i++) {
        const tpm = await used(t, directory, args)
        const engine = await enginePid(tpm.swtpm.pid)
        await stop(tpm)
        await tpm.swtpm.exited
        await waitFor(() => !alive(engine), { what: 'the end of the engine' })
        tpm.data.close()
      }
      assert.equal(await counterAfter(t, directory), 0)
    })
  }

  it('counts an engine that was killed: what is tested above can fail', async (t) => {
    const directory = await prepare(t)
    const tpm = await used(t, directory)
    const engine = await enginePid(tpm.swtpm.pid)
    // Neither may end in order, nor another engine take over.
    process.kill(engine, 'SIGSTOP')
    process.kill(tpm.swtpm.pid, 'SIGKILL')
    process.kill(engine, 'SIGKILL')
    await tpm.swtpm.exited
    tpm.data.close()
    assert.equal(await counterAfter(t, directory), 1)
    figure('dictionary-attack counter', `unchanged over ${STOPS.length} clean ways to stop`)
  })
})
