/** A damaged permanent state with a backup beside it. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type Cleanup, temporaryDirectory } from '../support/swtpm.ts'
import { NV, startEngineTpm, succeed } from './support/engine-tpm.ts'
import { flipped } from './support/patient.ts'

describe('a damaged permanent state with a backup beside it', () => {
  /** A TPM 2.0 with a backup, powered off. */
  async function withBackup(t: Cleanup): Promise<{ path: string; permanent: Buffer; backup: Buffer }> {
    const path = temporaryDirectory(t)
    const engine = await startEngineTpm({ path, backup: true })
    assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
    const { startup, define, write } = NV['2']
    for (const command of [startup, define, write(1)]) await succeed(engine, command, 'setting up')
    await engine.close()
    const permanent = readFileSync(join(path, 'tpm2-00.permall'))
    return { path, permanent, backup: readFileSync(join(path, 'tpm2-00.permall.bak')) }
  }

  it('starts with the backup, and keeps the damaged state under its name', async (t) => {
    const { path, backup } = await withBackup(t)
    const engine = await startEngineTpm({ path, backup: true })
    t.after(() => engine.close())
    let log = ''
    engine.on('log', (level, text) => {
      if (level <= 2) log += `${text}\n`
    })
    for (const damaged of [
      Buffer.from('damaged'),
      flipped(backup, 1),
      backup.subarray(0, -1),
      Buffer.alloc(0),
    ]) {
      writeFileSync(join(path, 'tpm2-00.permall'), damaged)
      writeFileSync(join(path, 'tpm2-00.permall.bak'), backup)
      log = ''
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
      assert.match(log, /trying the backup/)
      assert.deepEqual(readFileSync(join(path, 'tpm2-00.permall.bak')), damaged)
      assert.deepEqual(readFileSync(join(path, 'tpm2-00.permall')), backup)
      await succeed(engine, NV['2'].startup, 'Startup')
      assert.equal((await engine.verb('STOP', {})).tpmResult, 0)
    }
  })

  it('leaves both as they are where neither can be used, and where the backup was not asked for', async (t) => {
    const { path, permanent } = await withBackup(t)
    for (const backup of [true, false]) {
      const engine = await startEngineTpm({ path, backup })
      let log = ''
      engine.on('log', (level, text) => {
        if (level <= 2) log += `${text}\n`
      })
      writeFileSync(join(path, 'tpm2-00.permall'), 'damaged')
      writeFileSync(join(path, 'tpm2-00.permall.bak'), backup ? 'damaged, too' : permanent)
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0x101)
      assert.equal(readFileSync(join(path, 'tpm2-00.permall'), 'utf8'), 'damaged')
      assert.match(
        log,
        backup ? /trying the backup/ : /There is a backup, .*; start swtpm with --tpmstate dir=DIR,backup/,
      )
      await engine.close()
      assert.equal(readFileSync(join(path, 'tpm2-00.permall'), 'utf8'), 'damaged')
    }
  })
})
