/** Commands of a CUSE TPM that are cancelled, and reads that a signal ends. On sockets: test/protocol/cancel.test.ts. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { before, describe, it, type TestContext } from 'node:test'
import { type DeviceHandle, openDevice } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { waitsForInput } from '../support/processes.ts'
import { suiteCleanup } from '../support/suite.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const TPM_RC_CANCELED = 0x909
const FIRST_TRANSIENT = 0x80000000
/** A key whose primes are found at once makes a round void; that all of these are is out of the question. */
const ROUNDS = 10

const rsaKey = (round: number): Buffer => TPM2.createPrimaryRsa(3072, Buffer.from(`key ${round}`))

/** Repeats what needs a key that takes long. @param attempt returns whether its key has taken long enough */
async function untilSlow(attempt: (key: Buffer) => Promise<boolean>): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) if (await attempt(rsaKey(round))) return
  assert.fail(`each of ${ROUNDS} RSA keys was made too soon`)
}

/** Whether a command is being executed: then write() fails. Otherwise the device has taken a GetRandom, which is read. */
function isBusy(device: DeviceHandle): boolean {
  try {
    device.write(TPM2.getRandom())
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EBUSY')
    return true
  }
  device.read()
  return false
}

const exitOf = async (child: ChildProcess): Promise<NodeJS.Signals | null> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.signalCode
}

/** A program that has sent a command and waits in read(); undefined if the response came before it did. */
async function readingClient(
  t: TestContext,
  path: string,
  command: Buffer,
): Promise<ChildProcess | undefined> {
  const hex = command.toString('hex').replace(/../g, '\\x$&')
  const script = `exec 3<>${path}; printf '${hex}' >&3; exec cat <&3`
  const client = spawn('bash', ['-c', script], { stdio: ['ignore', 'ignore', 'inherit'] })
  t.after(() => client.kill('SIGKILL'))
  const ended = (): boolean => client.exitCode !== null || client.signalCode !== null
  await waitFor(() => ended() || waitsForInput(client.pid as number), {
    what: 'the client to wait in read()',
  })
  if (!ended()) return client
  assert.equal(client.exitCode, 0)
  const device = openDevice(t, path)
  device.command(TPM2.flushContext(FIRST_TRANSIENT))
  device.close()
  return undefined
}

describe('a command that swtpm cuse is at', () => {
  const shared = suiteCleanup()
  let fleet: DeviceFleet
  before(async () => {
    fleet = await startDeviceFleet(shared)
  })

  it('cancels a key that is being made', async (t) => {
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    await untilSlow(async (key) => {
      assert.equal(device.write(key), key.length)
      if (!isBusy(device)) return false
      const response = device.readLater()
      assert.equal(device.verb('CANCEL_TPM_CMD').tpmResult, 0)
      const code = responseCode(await response)
      if (code === 0) device.command(TPM2.flushContext(FIRST_TRANSIENT))
      else assert.equal(code, TPM_RC_CANCELED)
      return code !== 0
    })
    assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  })

  it('does not let a stale cancel hit the next command', async (t) => {
    const path = await fleet.cuse(t)
    const device = openDevice(t, path)
    device.verb('CANCEL_TPM_CMD')
    assert.equal(responseCode(device.command(TPM2.createPrimaryRsa(2048, Buffer.from('not cancelled')))), 0)
  })

  it('lets a signal end a blocked read() at once', async (t) => {
    const path = await fleet.cuse(t)
    await untilSlow(async (key) => {
      const client = await readingClient(t, path, key)
      if (client === undefined) return false
      client.kill('SIGINT')
      assert.equal(await exitOf(client), 'SIGINT')
      // The command itself goes on: it is still there to be cancelled by the next client.
      const device = openDevice(t, path)
      try {
        if (!isBusy(device)) return false
        assert.equal(device.verb('CANCEL_TPM_CMD').tpmResult, 0)
        // Its response was for another client; that it has ended is what a read() waits for.
        assert.equal((await device.readLater()).length, 0)
        assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
        return true
      } finally {
        device.command(TPM2.flushContext(FIRST_TRANSIENT))
        device.close()
      }
    })
  })
})
