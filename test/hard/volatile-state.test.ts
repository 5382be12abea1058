/** A volatile state that cannot be used, or state files that change under a running TPM: it never starts without what it had. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryDirectory } from '../support/swtpm.ts'
import { TPM12 } from '../support/tpm-commands.ts'
import { NV, startEngineTpm, succeed } from './support/engine-tpm.ts'
import {
  BLOB,
  COMMANDS,
  DAMAGES,
  DECRYPTED,
  FEW,
  flipped,
  KEY,
  look,
  start,
  startUp,
} from './support/patient.ts'

describe('a volatile state that cannot be used', () => {
  for (const version of ['2', '1.2'] as const) {
    for (const key of version === '2' ? [undefined, KEY] : [undefined]) {
      it(`TPM ${version}, ${key ? 'encrypted' : 'plain'}: INIT fails, and nothing is touched`, async (t) => {
        const tpm = await start(t, version, key)
        const pcr = await startUp(tpm)
        assert.equal((await tpm.engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
        await tpm.stop()
        const path = tpm.file('volatilestate')
        const original = readFileSync(path)
        const permanent = readFileSync(tpm.file('permall'))
        for (const [name, damage] of Object.entries(DAMAGES)) {
          if (version === '1.2' && !FEW.includes(name)) continue
          damage(path, original)
          const before = look(path)
          tpm.takeLog()
          assert.equal(await tpm.init(), version === '2' ? 0x101 : 9, name)
          assert.equal(look(path), before, name)
          const log = tpm.takeLog().trimEnd().split('\n')
          assert.equal(log.length, 1, `${name}: ${log}`)
          assert.match(
            log[0] as string,
            /^Cannot .*-00\.volatilestate": .*; mend it, or move it away to start the TPM/,
            name,
          )
          await tpm.stop()
          assert.equal(look(path), before, `${name}: after STOP`)
          assert.deepEqual(readFileSync(tpm.file('permall')), permanent, name)
          chmodSync(path, 0o600)
          rmSync(path, { recursive: true })
          writeFileSync(path, original)
        }
        // As good as before.
        assert.equal(await tpm.init(), 0)
        assert.deepEqual(await succeed(tpm.engine, COMMANDS[version].read, 'reading a PCR'), pcr)
        assert.equal((await tpm.engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
        await tpm.stop()
        // The way out.
        writeFileSync(path, 'damaged')
        assert.notEqual(await tpm.init(), 0)
        renameSync(path, `${path}.damaged`)
        assert.equal(await tpm.init(), 0)
        await succeed(tpm.engine, NV[version].startup, 'Startup')
      })
    }
  }

  it('is deleted by PTM_INIT_FLAG_DELETE_VOLATILE only where the TPM starts', async (t) => {
    const tpm = await start(t, '2')
    await startUp(tpm)
    assert.equal((await tpm.engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
    await tpm.stop()
    const path = tpm.file('volatilestate')
    const init = async (): Promise<number> => (await tpm.engine.verb('INIT', { initFlags: 1 })).tpmResult
    const original = readFileSync(path)
    writeFileSync(path, 'damaged')
    assert.equal(await init(), 0x101)
    assert.equal(readFileSync(path, 'utf8'), 'damaged')
    writeFileSync(path, original)
    assert.equal(await init(), 0)
    assert.equal(existsSync(path), false)
  })

  it('with another key, or with none', async (t) => {
    const tpm = await start(t, '2', KEY)
    await startUp(tpm)
    assert.equal((await tpm.engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
    const encrypted = readFileSync(tpm.file('volatilestate'))
    await tpm.engine.close()
    const plain = await start(t, '2')
    await startUp(plain)
    await plain.stop()
    writeFileSync(plain.file('volatilestate'), encrypted)
    assert.equal(await plain.init(), 0x101)
    assert.deepEqual(readFileSync(plain.file('volatilestate')), encrypted)
    assert.match(
      plain.takeLog(),
      /it is encrypted, and no key was given; give it with --key; mend it, or move it away/,
    )
  })

  it('in a linear file: an empty one takes its place', async (t) => {
    const path = join(temporaryDirectory(t), 'linear')
    const engine = await startEngineTpm({ path, backend: 'linear' })
    t.after(() => engine.close())
    assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
    await succeed(engine, NV['2'].startup, 'Startup')
    assert.equal((await engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
    assert.equal((await engine.verb('STOP', {})).tpmResult, 0)
    const file = readFileSync(path)
    const offset = file.readUInt32LE(12 + 12)
    assert.ok(offset >= 192)
    writeFileSync(path, flipped(file, offset + 200))
    const damaged = readFileSync(path)
    let log = ''
    engine.on('log', (_level, text) => {
      log += text
    })
    assert.equal((await engine.verb('INIT', { initFlags: 1 })).tpmResult, 0x101)
    assert.match(log, /volatilestate of the linear state file": .*; mend it, or replace it by an empty one/)
    assert.deepEqual(readFileSync(path), damaged)
    const data = Buffer.alloc(0)
    const set = { stateFlags: 0, type: BLOB.volatile, length: 0, data }
    assert.equal((await engine.verb('SET_STATEBLOB', set)).tpmResult, 0)
    assert.equal((await engine.verb('INIT', { initFlags: 1 })).tpmResult, 0)
    await succeed(engine, NV['2'].startup, 'Startup')
    assert.equal((await engine.verb('STOP', {})).tpmResult, 0)
    assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
  })
})

describe('state files that change under a running TPM', () => {
  for (const version of ['2', '1.2'] as const) {
    for (const key of [undefined, KEY]) {
      it(`TPM ${version}, ${key ? 'encrypted' : 'plain'}: state blobs are what the TPM has, and STOP stores it`, async (t) => {
        const tpm = await start(t, version, key)
        const { engine } = tpm
        await startUp(tpm)
        const saves = version === '1.2'
        if (saves) await succeed(engine, TPM12.saveState, 'saving the state')
        const wanted = await tpm.blob('permanent', DECRYPTED)
        const savestate = await tpm.blob('savestate', DECRYPTED)
        assert.equal(savestate.tpmResult, saves ? 0 : 0x800)
        const path = tpm.file('permall')
        const original = readFileSync(path)
        const damages: typeof DAMAGES = { ...DAMAGES, 'no file': (file) => rmSync(file) }
        for (const [name, damage] of Object.entries(damages)) {
          damage(path, original)
          assert.deepEqual(await tpm.blob('permanent', DECRYPTED), wanted, name)
          const encrypted = await tpm.blob('permanent')
          assert.ok((encrypted.data?.length ?? 0) >= original.length, name)
          assert.ok((await tpm.blob('volatile', DECRYPTED)).data?.length, name)
          rmSync(path, { recursive: true, force: true })
          writeFileSync(path, original)
        }
        if (saves) {
          rmSync(tpm.file('savestate'))
          assert.deepEqual(await tpm.blob('savestate', DECRYPTED), savestate)
        }
        // Gone when the volatile state is stored, and again when the TPM is powered off.
        rmSync(path)
        assert.equal((await engine.verb('STORE_VOLATILE', {})).tpmResult, 0)
        assert.ok(existsSync(path))
        writeFileSync(path, 'damaged')
        await tpm.stop()
        assert.equal(await tpm.init(), 0)
        assert.deepEqual((await tpm.blob('permanent', DECRYPTED)).data, wanted.data)
      })
    }
  }
})
