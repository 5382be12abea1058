/** State that is gone: a TPM never starts without what it had, and a state blob is what the TPM has. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { Swtpm, startSocketTpm } from '../support/swtpm.ts'
import { TPM12 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { succeed } from './support/engine-tpm.ts'
import { COMMANDS, start, startUp } from './support/patient.ts'

describe('a permanent state that is gone', () => {
  it('is missed by a TPM that has run, in this engine', async (t) => {
    const tpm = await start(t, '2')
    await startUp(tpm)
    await tpm.stop()
    const away = `${tpm.file('permall')}.away`
    renameSync(tpm.file('permall'), away)
    tpm.takeLog()
    assert.equal(await tpm.init(), 0x101)
    assert.match(tpm.takeLog(), /permall" is gone; put it back, or start swtpm anew for a new TPM/)
    assert.equal(existsSync(tpm.file('permall')), false)
    renameSync(away, tpm.file('permall'))
    assert.equal(await tpm.init(), 0)
  })

  it('is missed where a volatile state is there', async (t) => {
    const tpm = await start(t, '2')
    await startUp(tpm)
    assert.equal((await tpm.engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
    await tpm.engine.close()
    rmSync(tpm.file('permall'))
    const again = await start(t, '2', undefined, tpm.directory)
    assert.equal(await again.init(), 0x101)
    assert.match(
      again.takeLog(),
      /permall" is gone, while "tpm2-00.volatilestate" is there; put it back, or move/,
    )
    assert.equal(existsSync(tpm.file('permall')), false)
    renameSync(tpm.file('volatilestate'), `${tpm.file('volatilestate')}.away`)
    assert.equal(await again.init(), 0)
  })

  it('is not missed where it comes as a blob, and neither is a damaged volatile state', async (t) => {
    const source = await start(t, '2')
    const pcr = await startUp(source)
    const blobs = [await source.blob('permanent'), await source.blob('volatile')]
    const target = await start(t, '2')
    await startUp(target)
    assert.equal((await target.engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
    await target.stop()
    rmSync(target.file('permall'))
    writeFileSync(target.file('volatilestate'), 'damaged')
    target.takeLog()
    for (const [i, { data = Buffer.alloc(0) }] of blobs.entries()) {
      const set = { stateFlags: 0, type: i + 1, length: data.length, data }
      assert.equal((await target.engine.verb('SET_STATEBLOB', set)).tpmResult, 0)
    }
    assert.equal((await target.engine.verb('INIT', { initFlags: 1 })).tpmResult, 0)
    assert.equal(target.takeLog(), '')
    assert.deepEqual(await succeed(target.engine, COMMANDS['2'].read, 'reading a PCR'), pcr)
    assert.equal(existsSync(target.file('volatilestate')), false)
  })
})

it('a savestate that came as a blob goes on with the next migration', async (t) => {
  const source = await start(t, '1.2')
  await startUp(source)
  await succeed(source.engine, TPM12.saveState, 'saving the state')
  const types = ['permanent', 'volatile', 'savestate'] as const
  const blobs = await Promise.all(types.map((type) => source.blob(type)))
  const target = await start(t, '1.2')
  for (const [i, { data = Buffer.alloc(0) }] of blobs.entries()) {
    const set = { stateFlags: 0, type: i + 1, length: data.length, data }
    assert.equal((await target.engine.verb('SET_STATEBLOB', set)).tpmResult, 0, types[i])
  }
  assert.equal(await target.init(), 0)
  assert.deepEqual(await target.blob('savestate'), blobs[2])
})

describe('swtpm', () => {
  const control = async (connection: RawConnection, hex: string): Promise<number> => {
    connection.write(hex)
    return (await connection.read(4)).readUInt32BE()
  }

  it('ends with status 1 where --flags power on a TPM whose volatile state is damaged', async (t) => {
    const { swtpm, directory, controlPath } = await startSocketTpm(t)
    assert.equal(await control(await RawConnection.open(controlPath), CMD.STORE_VOLATILE), 0)
    assert.equal(await swtpm.stop(), 0)
    const path = join(directory, 'tpm2-00.volatilestate')
    writeFileSync(path, 'damaged')
    for (const flags of ['startup-clear', 'not-need-init']) {
      const again = new Swtpm([
        ...[
          'socket',
          '--tpm2',
          '--tpmstate',
          `dir=${directory}`,
          '--ctrl',
          `type=unixio,path=${controlPath}`,
        ],
        ...['--flags', flags],
      ])
      assert.equal(await again.exited, 1)
      assert.match(again.stderr, /Cannot use state "tpm2-00.volatilestate": .*; mend it, or move it away/)
      assert.equal(readFileSync(path, 'utf8'), 'damaged')
    }
  })

  it('misses a permanent state that an earlier engine had', async (t) => {
    const { swtpm, directory, controlPath } = await startSocketTpm(t)
    const client = await RawConnection.open(controlPath)
    assert.equal(await control(client, CMD.STOP), 0)
    const engine = await enginePid(swtpm.pid)
    process.kill(swtpm.pid, 'SIGUSR2')
    await waitFor(() => swtpm.stderr.includes('has been replaced'), { what: 'the next engine' })
    assert.notEqual(await enginePid(swtpm.pid), engine)
    const path = join(directory, 'tpm2-00.permall')
    renameSync(path, `${path}.away`)
    assert.equal(await control(client, `${CMD.INIT} 00000000`), 0x101)
    assert.match(swtpm.stderr, /permall" is gone; put it back, or start swtpm anew for a new TPM/)
    assert.equal(existsSync(path), false)
    renameSync(`${path}.away`, path)
    assert.equal(await control(client, `${CMD.INIT} 00000000`), 0)
  })
})
