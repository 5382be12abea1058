/** Ways to bring TPM commands to `swtpm socket`, and clients that misbehave. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { CMD } from '../support/control-commands.ts'
import { isListening } from '../support/listening.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2, TPM12 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function connectTcp(swtpm: Swtpm, port: number): Promise<RawConnection> {
  let connection: RawConnection | undefined
  await waitFor(
    async () => {
      if (!swtpm.running) throw new Error(swtpm.stderr)
      connection = await RawConnection.open(port).catch(() => undefined)
      return connection
    },
    { what: `port ${port} to listen` },
  )
  return connection as RawConnection
}

describe('data over TCP', () => {
  it('-p: a connection for each command, and state survives between them', async (t) => {
    const directory = temporaryDirectory(t)
    const port = await freePort()
    const swtpm = new Swtpm([
      'socket',
      '-p',
      String(port),
      '--tpmstate',
      `dir=${directory}`,
      '--flags',
      'startup-clear',
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    let client = await connectTcp(swtpm, port)
    client.write(TPM12.extend(9, Buffer.alloc(20, 1)))
    const extended = await client.readResponse()
    assert.equal((await client.readToEnd()).length, 0)
    client = await connectTcp(swtpm, port)
    client.write(TPM12.pcrRead(9))
    assert.deepEqual((await client.readResponse()).subarray(10), extended.subarray(10))
    assert.equal(await swtpm.stop(), 0)
  })

  it('--server type=tcp keeps the connection; TCP control beside it', async (t) => {
    const directory = temporaryDirectory(t)
    const [data, control] = [await freePort(), await freePort()]
    const swtpm = new Swtpm([
      ...['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--server', `type=tcp,port=${data}`],
      ...['--ctrl', `type=tcp,port=${control},bindaddr=127.0.0.1`],
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    const verbs = await connectTcp(swtpm, control)
    verbs.write('00000002 00000000')
    assert.equal((await verbs.read(4)).readUInt32BE(), 0)
    const client = await connectTcp(swtpm, data)
    for (const command of [TPM2.startupClear, TPM2.getRandom(), TPM2.getRandom()]) {
      client.write(command)
      assert.equal(responseCode(await client.readResponse()), 0)
    }
    verbs.write('00000003')
    assert.equal((await verbs.read(4)).readUInt32BE(), 0)
    assert.equal(await swtpm.exited, 0)
  })

  it('-t ends with the client', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, ['--tpm2', '-t', '--flags', 'startup-clear'])
    const client = await RawConnection.open(dataPath)
    client.write(TPM2.getRandom())
    await client.readResponse()
    client.close()
    assert.equal(await swtpm.exited, 0)
  })
})

describe('SET_DATAFD', () => {
  it('brings a connection, as QEMU does, and another when that is gone', async (t) => {
    const directory = temporaryDirectory(t)
    const controlPath = `${directory}/control`
    const swtpm = new Swtpm([
      ...['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--ctrl', `type=unixio,path=${controlPath}`],
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    await swtpm.until(() => isListening(controlPath), 'its control socket')
    const { DescriptorSocket } = await import('../../src/system/io/descriptor-socket.ts')
    const { connectUnix } = await import('../support/connect-unix.ts')
    const control = new DescriptorSocket(connectUnix(controlPath))
    t.after(() => control.close())
    const replies: Buffer[] = []
    control.on('data', (chunk) => replies.push(chunk))
    const call = async (hex: string, fds: number[] = []): Promise<Buffer> => {
      const count = replies.length
      control.write(Buffer.from(hex.replace(/\s+/g, ''), 'hex'), fds)
      await waitFor(() => replies.length > count, { what: `an answer to ${hex}` })
      return replies[count] as Buffer
    }
    for (let round = 0; round < 2; round++) {
      const [ours, theirs] = check(native.socketPair(), 'make a socket pair')
      const data = new DescriptorSocket(ours)
      // The end of the one before is noticed by the engine in its own time.
      await waitFor(async () => (await call('00000010', [theirs])).readUInt32BE() === 0, {
        what: 'a free place',
      })
      assert.equal((await call('00000010', [theirs])).toString('hex'), '0000001f', 'a second one at a time')
      closeSync(theirs)
      let response: Buffer | undefined
      data.on('data', (chunk) => {
        response = chunk
      })
      // QEMU asks before INIT whether there is a TPM 2.0.
      data.write(TPM2.getRandom())
      await waitFor(() => response, { what: 'a response' })
      if (round === 0) {
        assert.equal(response?.toString('hex'), '80010000000a00000101')
        assert.equal((await call('00000002 00000000')).toString('hex'), '00000000')
        response = undefined
        data.write(TPM2.startupClear)
        await waitFor(() => response, { what: 'a response' })
      }
      assert.equal(responseCode(response as Buffer), 0)
      data.close()
      // The engine has noticed when it takes the next one.
      const [spareOurs, spareTheirs] = check(native.socketPair(), 'make a socket pair')
      await waitFor(async () => (await call('00000010', [spareTheirs])).readUInt32BE() === 0, {
        what: 'a free place',
      })
      closeSync(spareOurs)
      closeSync(spareTheirs)
    }
  })
})

describe('clients that misbehave', () => {
  it('one that never reads does not hold up the control channel', async (t) => {
    const { dataPath, controlPath } = await startSocketTpm(t)
    const deaf = await RawConnection.open(dataPath)
    deaf.socket.pause()
    const command = TPM2.getRandom(32)
    for (let i = 0; i < 20_000; i++) deaf.write(command)
    const control = await RawConnection.open(controlPath)
    for (const request of ['00000001', '0000000f', '00000005 00']) {
      control.write(request)
      await control.read(4)
    }
    deaf.close()
    control.close()
  })

  it('one that sends half a command and stays does not hold up the control channel', async (t) => {
    const { dataPath, controlPath } = await startSocketTpm(t)
    const half = await RawConnection.open(dataPath)
    half.write(TPM2.getRandom().subarray(0, 6))
    const control = await RawConnection.open(controlPath)
    control.write(CMD.STORE_VOLATILE)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    half.close()
    const next = await RawConnection.open(dataPath)
    next.write(TPM2.getRandom())
    assert.equal(responseCode(await next.readResponse()), 0)
  })

  it('one that goes away during a command does not disturb the next', async (t) => {
    const { dataPath, controlPath } = await startSocketTpm(t)
    const gone = await RawConnection.open(dataPath)
    gone.write(TPM2.createPrimaryRsa(3072, Buffer.from('gone')))
    await new Promise<void>((resolve) => gone.socket.write('', () => resolve()))
    gone.close()
    const control = await RawConnection.open(controlPath)
    control.write(CMD.CANCEL_TPM_CMD)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    const next = await RawConnection.open(dataPath)
    next.write(TPM2.getRandom())
    assert.equal(responseCode(await next.readResponse()), 0)
  })
})
