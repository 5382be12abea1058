/** `--behind`: verbs, CANCEL and the end, whatever the TPM behind does. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startFleet } from '../support/fleet.ts'
import { isListening } from '../support/listening.ts'
import { enginePid, nextEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const TPM_RC_CANCELED = 0x909
const TPM_RC_FAILURE = 0x101
const TPM_BAD_ORDINAL = '0000000a'

async function startBehind(t: TestContext, behind: string, args: readonly string[] = []) {
  const directory = temporaryDirectory(t)
  const [dataPath, controlPath] = [join(directory, 'data'), join(directory, 'control')]
  const swtpm = new Swtpm([
    ...['socket', '--tpm2', '--behind', behind, '--server', `type=unixio,path=${dataPath}`],
    ...['--ctrl', `type=unixio,path=${controlPath}`, ...args],
  ])
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => isListening(dataPath) && isListening(controlPath), 'it listens')
  return { swtpm, dataPath, controlPath }
}

/** A TPM that says what it is told to say to each command. */
async function peculiarTpm(
  t: TestContext,
  answer: (client: Socket) => void,
): Promise<{ path: string; asked(): number }> {
  const path = join(temporaryDirectory(t), 'peculiar')
  let asked = 0
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    clients.add(client)
    client.on('error', () => {})
    client.on('data', () => {
      asked++
      answer(client)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  return { path, asked: () => asked }
}

suite('--behind', () => {
  test('INIT is answered; what is about the state of libtpms is refused', async (t) => {
    const other = await startSocketTpm(t)
    const { controlPath, dataPath, swtpm } = await startBehind(t, `unix:${other.dataPath}`)
    const control = await RawConnection.open(controlPath)
    control.write(`${CMD.INIT} 00000000`)
    assert.equal((await control.read(4)).toString('hex'), '00000000')
    await (await TpmClient.open(dataPath)).succeed(TPM2.getRandom())
    for (const verb of [CMD.STORE_VOLATILE, CMD.HASH_START]) {
      control.write(verb)
      assert.equal((await control.read(4)).toString('hex'), TPM_BAD_ORDINAL)
    }
    await swtpm.until(() => /HASH_START is refused: the TPM is another one/.test(swtpm.stderr), 'it says so')
  })

  test('a fault that is about the TPM itself is refused, and the TPM behind left as it is', async (t) => {
    const other = await startSocketTpm(t)
    const { dataPath, swtpm } = await startBehind(t, `unix:${other.dataPath}`, [
      '--fault',
      'GetRandom: powercut',
    ])
    const client = await TpmClient.open(dataPath)
    assert.equal(responseCode(await client.ask(TPM2.getRandom())), TPM_RC_FAILURE)
    await swtpm.until(
      () => /Cannot cut the power of the TPM: it is another one/.test(swtpm.stderr),
      'it says so',
    )
    await client.succeed(TPM2.pcrRead(0))
  })

  test('CANCEL ends the wait for a TPM that does not answer; so does the end', async (t) => {
    const { path, asked } = await peculiarTpm(t, () => {})
    const { controlPath, dataPath, swtpm } = await startBehind(t, `unix:${path}`)
    const client = await TpmClient.open(dataPath)
    const answer = client.ask(TPM2.getRandom())
    await waitFor(() => asked() === 1, { what: 'the command to arrive' })
    const control = await RawConnection.open(controlPath)
    control.write(CMD.CANCEL_TPM_CMD)
    assert.equal(responseCode(await answer), TPM_RC_CANCELED)
    client.connection.write(TPM2.getRandom())
    assert.equal(await swtpm.stop(), 0)
  })

  test('a response that is none: FAILURE, and a new connection', async (t) => {
    const { path } = await peculiarTpm(t, (client) => client.write(Buffer.alloc(20, 0xff)))
    const { dataPath, swtpm } = await startBehind(t, `unix:${path}`)
    const client = await TpmClient.open(dataPath)
    for (let i = 0; i < 2; i++) assert.equal(responseCode(await client.ask(TPM2.getRandom())), TPM_RC_FAILURE)
    assert.match(swtpm.stderr, /its response has 20 bytes and says 4294967295; commands are answered FAILURE/)
    assert.equal(swtpm.stderr.match(/commands are answered FAILURE/g)?.length, 1)
  })

  test('a response that says it is shorter than its header: FAILURE at once', async (t) => {
    const { path } = await peculiarTpm(t, (client) =>
      client.write(Buffer.from('80010000000400000000', 'hex')),
    )
    const { dataPath, swtpm } = await startBehind(t, `unix:${path}`)
    const client = await TpmClient.open(dataPath)
    assert.equal(responseCode(await client.ask(TPM2.getRandom())), TPM_RC_FAILURE)
    await swtpm.until(() => /its response has 10 bytes and says 4;/.test(swtpm.stderr), 'it says so')
  })

  test('one that is not there is an error at the start', async (t) => {
    const missing = join(temporaryDirectory(t), 'missing')
    for (const [behind, reason] of [
      [`unix:${missing}`, /Cannot use the TPM "[^"]*missing": no such file or directory/],
      [`device:${missing}`, /Cannot use the TPM "[^"]*missing": no such file or directory/],
      [`recording:${missing}`, /Cannot use the recording "[^"]*missing": no such file or directory/],
    ] as const) {
      const swtpm = new Swtpm(['socket', '--tpm2', '--behind', behind, '--ctrl', 'type=tcp,port=1'])
      assert.equal(await swtpm.exited, 1)
      assert.match(swtpm.stderr, reason)
    }
  })

  test('in a fleet, with a recording of its own', async (t) => {
    const other = await startSocketTpm(t)
    const fleet = await startFleet(t)
    const directory = temporaryDirectory(t)
    const words = [
      ...['socket', '--tpm2', '--behind', `unix:${other.dataPath}`, '--record', join(directory, 'r')],
      ...['--server', `type=unixio,path=${join(directory, 'data')}`],
    ]
    const added = await fleet.run('add', 'b', '--', ...words)
    assert.equal(added.code, 0, added.stderr)
    await (await TpmClient.open(join(directory, 'data'))).succeed(TPM2.getRandom())
    assert.equal((await fleet.run('remove', 'b')).code, 0)
    // A header, and what the client has asked: nothing that goes to libtpms alone.
    assert.equal(readFileSync(join(directory, 'r'), 'utf8').trim().split('\n').length, 2)
  })

  test('engine after engine: the TPM behind goes on', async (t) => {
    const other = await startSocketTpm(t)
    const { dataPath, swtpm } = await startBehind(t, `unix:${other.dataPath}`)
    await (await TpmClient.open(dataPath)).succeed(TPM2.pcrExtend(16, Buffer.alloc(32, 1)))
    const engine = await enginePid(swtpm.pid)
    process.kill(engine, 'SIGKILL')
    await nextEngine(swtpm.pid, engine)
    const client = await TpmClient.open(dataPath)
    assert.notEqual((await client.pcr(16)).toString('hex'), '00'.repeat(32))
  })
})
