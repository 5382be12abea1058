/** An engine that is stopped keeps no other engine and no program from ending. One TPM: test/protocol/life-cycle.test.ts. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startFleet } from '../support/fleet.ts'
import { alive, descendants, enginePid, nameOf, replaceEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, projectRoot, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

function isStopped(pid: number): boolean {
  try {
    return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** SIGSTOP, which takes effect in a moment. */
async function stop(t: Cleanup, pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  t.after(() => alive(pid) && process.kill(pid, 'SIGKILL'))
  await waitFor(() => isStopped(pid), { what: `process ${pid} to stop` })
}

describe('a swtpm whose engine is stopped', () => {
  it('has it replaced by SIGUSR2, with its TPM', async (t) => {
    const tpm = await startSocketTpm(t)
    const client = await RawConnection.open(tpm.dataPath)
    client.write(TPM2.pcrExtend(16, Buffer.alloc(32, 1)))
    assert.equal(responseCode(await client.readResponse()), 0)
    client.close()
    await stop(t, await enginePid(tpm.swtpm.pid))
    await replaceEngine(tpm.swtpm.pid)
    assert.match(tpm.swtpm.stderr, /has not answered within .*: it is killed/)
    const next = await RawConnection.open(tpm.dataPath)
    next.write(TPM2.pcrRead(16))
    assert.notDeepEqual((await next.readResponse()).subarray(-32), Buffer.alloc(32))
    next.close()
    assert.equal(await tpm.swtpm.stop(), 0)
  })

  it('ends on SIGTERM while that engine is being replaced', async (t) => {
    const tpm = await startSocketTpm(t)
    const engine = await enginePid(tpm.swtpm.pid)
    await stop(t, engine)
    process.kill(tpm.swtpm.pid, 'SIGUSR2')
    const engines = (): number[] => descendants(tpm.swtpm.pid).filter((pid) => nameOf(pid) === 'tpm-engine')
    const both = await waitFor(() => engines().length === 2 && engines(), { what: 'the second engine' })
    assert.equal(await tpm.swtpm.stop(), 0)
    assert.deepEqual((both as number[]).filter(alive), [])
  })
})

// Each waits for the engine's 8 s.
describe('a fleet with one engine that is stopped', { concurrency: true }, () => {
  it('ends the other TPMs in order, and then itself', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a', 'b', 'c'] })
    const status = (await fleet.list()).find(({ name }) => name === 'b')
    await stop(t, status!.engine!)
    assert.equal(await fleet.swtpm.stop(), 0)
    for (const name of ['a', 'c'])
      assert.match(fleet.swtpm.stderr, new RegExp(`${name}: It has ended[^]*b: The engine .* it is killed`))
    for (const name of ['a', 'b', 'c'])
      assert.deepEqual(
        readdirSync(join(fleet.directory, name)).filter((file) => ['data', 'control'].includes(file)),
        [],
      )
  })

  it('replaces it by SIGUSR2, and those of the others before', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a', 'b'] })
    const engineOf = async (tpm: string) => (await fleet.list()).find(({ name }) => name === tpm)?.engine
    const [stopped, other] = [await engineOf('a'), await engineOf('b')]
    await stop(t, stopped!)
    process.kill(fleet.swtpm.pid, 'SIGUSR2')
    await waitFor(() => !alive(other!), { what: 'the other engine to be replaced' })
    assert.equal(alive(stopped!), true)
    await waitFor(async () => !alive(stopped!) && (await engineOf('a')) !== stopped, {
      what: 'the stopped engine to be replaced',
    })
    const client = await RawConnection.open(fleet.describe('a').data)
    client.write(TPM2.getRandom())
    assert.equal(responseCode(await client.readResponse()), 0)
    client.close()
    assert.equal(await fleet.swtpm.stop(), 0)
  })

  it('removes that TPM alone', async (t) => {
    const fleet = await startFleet(t, { tpms: ['a', 'b'] })
    const engineOf = async (tpm: string) => (await fleet.list()).find(({ name }) => name === tpm)?.engine
    const stopped = await engineOf('a')
    await stop(t, stopped!)
    process.kill(fleet.swtpm.pid, 'SIGUSR2')
    assert.deepEqual(await fleet.run('remove', 'a'), { code: 0, stdout: '', stderr: '' })
    assert.equal(alive(stopped!), false)
    assert.deepEqual(
      (await fleet.list()).map(({ name }) => name),
      ['b'],
    )
    // Its name and its state are free.
    const again = await fleet.add('a')
    const client = await RawConnection.open(again.data)
    client.write(TPM2.getRandom())
    assert.equal(responseCode(await client.readResponse()), 0)
    client.close()
    assert.equal(await fleet.swtpm.stop(), 0)
  })

  it('ends on SIGTERM while its TPMs still start', async (t) => {
    const directory = temporaryDirectory(t)
    const engine = join(directory, 'engine')
    const real = join(projectRoot, 'native/build/Release/tpm-engine')
    writeFileSync(engine, `#!/bin/sh\n[ "$1" = --spawner ] || kill -STOP $$\nexec ${real} "$@"\n`, {
      mode: 0o755,
    })
    mkdirSync(join(directory, 'state'))
    writeFileSync(
      join(directory, 'tpms'),
      `a: socket --tpm2 --flags startup-clear --tpmstate dir=${directory}/state --server type=unixio,path=${directory}/data\n`,
    )
    const fleet = new Swtpm(
      [
        'fleet',
        '--fresh-engines',
        '--ctrl',
        `type=unixio,path=${directory}/fleet`,
        '--tpms',
        `${directory}/tpms`,
      ],
      { env: { SWTPM_ENGINE: engine } },
    )
    t.after(() => fleet.stop('SIGKILL'))
    const stopped = await waitFor(() => descendants(fleet.pid).find(isStopped), {
      what: 'the stopped engine',
    })
    assert.equal(await fleet.stop(), 0)
    assert.equal(alive(stopped as number), false)
    assert.deepEqual(readdirSync(directory).sort(), ['engine', 'state', 'tpms'])
  })
})
