/**
 * The journal beside the permanent file: who may go on with what a killed TPM leaves behind, who must refuse, and that
 * nothing of it is left where a TPM is at rest.
 */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { EngineClient } from '../../src/engine-client/engine-client.ts'
import { noCompiler } from '../support/compilers.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, REFERENCE_SWTPM, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { DiskShim } from './support/disk-shim.ts'
import { ask, type EngineTpmOptions, NV, startEngineTpm, succeed } from './support/engine-tpm.ts'
import { noReference, referenceNumber } from './support/reference.ts'

const PERMANENT = 'tpm2-00.permall'
const JOURNAL = 'tpm2-00.permall.journal'
/** Of a state's header: the least version that a reader must know. No reader knows 3. */
const MIN_VERSION_AT = 1
const nv = NV['2']

type Options = Omit<EngineTpmOptions, 'path'>

async function powerOn(t: Cleanup, path: string, options: Options = {}): Promise<EngineClient> {
  const engine = await startEngineTpm({ path, ...options })
  t.after(() => engine.close())
  assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
  await succeed(engine, nv.startup, 'Startup')
  return engine
}

const powerOff = async (engine: EngineClient): Promise<void> =>
  assert.equal((await engine.verb('STOP', {})).tpmResult, 0)

/** A TPM whose journal is live, with the numbers up to `last` written. */
async function busy(t: Cleanup, path: string, last: number, options: Options = {}): Promise<EngineClient> {
  const engine = await powerOn(t, path, options)
  if (nv.sequence(await ask(engine, nv.read)) < 0) await succeed(engine, nv.define, 'defining the index')
  for (let i = 1; i <= last; i++) await succeed(engine, nv.write(i), 'writing')
  return engine
}

/** It does not end in order, nor does another one go on. */
async function kill(engine: EngineClient): Promise<void> {
  process.kill(engine.pid as number, 'SIGSTOP')
  const closed = engine.close()
  process.kill(engine.pid as number, 'SIGKILL')
  await closed
}

/** The directory of a TPM that was killed with its journal live, number 5 being the last one. */
async function crashed(t: Cleanup, options: Options = {}): Promise<string> {
  const directory = temporaryDirectory(t)
  await kill(await busy(t, directory, 5, options))
  assert.deepEqual(readdirSync(directory).sort(), [PERMANENT, JOURNAL])
  assert.equal(readFileSync(join(directory, PERMANENT))[MIN_VERSION_AT], 3)
  return directory
}

async function numberIn(t: Cleanup, directory: string, options: Options = {}): Promise<number> {
  const engine = await powerOn(t, directory, options)
  const number = nv.sequence(await ask(engine, nv.read))
  await engine.close()
  return number
}

function assertAtRest(directory: string): void {
  assert.ok(!existsSync(join(directory, JOURNAL)), 'the journal is gone')
  assert.equal(readFileSync(join(directory, PERMANENT))[MIN_VERSION_AT], 1)
}

async function assertRefused(t: Cleanup, directory: string, reason: RegExp): Promise<void> {
  const before = readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))])
  const engine = await startEngineTpm({ path: directory })
  t.after(() => engine.close())
  const said: string[] = []
  engine.on('log', (_level, text) => said.push(text))
  assert.notEqual((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
  assert.match(said.join('\n'), reason)
  await engine.close()
  const after = readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))])
  assert.deepEqual(after, before, 'nothing has been changed')
}

describe('a journal', () => {
  const key = Buffer.alloc(32, 0x5a)
  for (const [what, options] of [
    ['plain', {}],
    ['encrypted', { key }],
    ['unsynced', { sync: false }],
  ] as const) {
    it(`is what the next TPM goes on with after kill -9 (${what})`, async (t) => {
      const directory = await crashed(t, options)
      assert.equal(statSync(join(directory, JOURNAL)).mode, statSync(join(directory, PERMANENT)).mode)
      assert.equal(await numberIn(t, directory, options), 5)
      assertAtRest(directory)
      assert.equal(await numberIn(t, directory, { ...options, journal: false }), 5)
    })
  }

  it('holds nothing readable of an encrypted state', async (t) => {
    const secret = Buffer.alloc(20, 5)
    const open = await crashed(t)
    assert.ok(readFileSync(join(open, JOURNAL)).includes(secret), 'this is how it would be found')
    const closed = await crashed(t, { key })
    for (const name of readdirSync(closed)) assert.ok(!readFileSync(join(closed, name)).includes(secret))
  })

  for (const [what, options] of [
    ['without a journal', { journal: false }],
    ['with a backup', { backup: true }],
  ] as const) {
    it(`is ended by a TPM ${what}`, async (t) => {
      const directory = await crashed(t)
      const first = await startEngineTpm({ path: directory, ...options })
      t.after(() => first.close())
      await first.setStorage(true)
      assertAtRest(directory)
      assert.deepEqual(readdirSync(directory), [PERMANENT], 'and what was outdated is no backup')
      await first.close()
      const engine = await busy(t, directory, 0, options)
      assert.equal(nv.sequence(await ask(engine, nv.read)), 5)
      assertAtRest(directory)
      if ('backup' in options) {
        await succeed(engine, nv.write(6), 'writing')
        assert.equal(readFileSync(join(directory, `${PERMANENT}.bak`))[MIN_VERSION_AT], 1)
      }
    })
  }

  it('is gone after a power-off, and after the end of the engine', async (t) => {
    const directory = temporaryDirectory(t)
    const engine = await busy(t, directory, 3)
    assert.ok(existsSync(join(directory, JOURNAL)))
    await powerOff(engine)
    assertAtRest(directory)
    await engine.close()
    const next = await busy(t, directory, 4)
    assert.ok(existsSync(join(directory, JOURNAL)))
    const ended = new Promise((resolve) => next.once('exit', resolve))
    await next.close()
    await ended
    assertAtRest(directory)
    assert.equal(await numberIn(t, directory), 4)
  })

  it('is gone when nothing has been stored for a while', async (t) => {
    const directory = temporaryDirectory(t)
    const engine = await busy(t, directory, 3)
    await waitFor(() => !existsSync(join(directory, JOURNAL)), { what: 'the end of the journal' })
    assertAtRest(directory)
    const copy = temporaryDirectory(t)
    cpSync(join(directory, PERMANENT), join(copy, PERMANENT))
    assert.equal(await numberIn(t, copy), 3)
    await succeed(engine, nv.write(4), 'writing')
    await succeed(engine, nv.write(5), 'writing')
    assert.ok(existsSync(join(directory, JOURNAL)))
    await kill(engine)
    assert.equal(await numberIn(t, directory), 5)
  })

  it('is gone before the storage is given up for a migration', async (t) => {
    const directory = temporaryDirectory(t)
    const engine = await busy(t, directory, 3)
    await engine.setStorage(false)
    assertAtRest(directory)
    assert.equal(await numberIn(t, directory), 3)
    // The destination, which has the lock now, writes; this TPM sees it when it gets the lock back after all.
    await kill(await busy(t, directory, 7))
    await engine.setStorage(true)
    assertAtRest(directory)
    await engine.close()
    assert.equal(await numberIn(t, directory), 7)
  })

  it('of a TPM that has the lock is left alone by one that waits for it', async (t) => {
    const directory = temporaryDirectory(t)
    const source = await busy(t, directory, 3)
    const destination = await startEngineTpm({ path: directory })
    t.after(() => destination.close())
    await destination.verb('STOP', {})
    await destination.setStorage(false)
    // At rest the source would put its journal away by itself.
    await succeed(source, nv.write(2), 'writing')
    await succeed(source, nv.write(3), 'writing')
    await destination.verb('INIT', { initFlags: 0 })
    await destination.close()
    assert.ok(existsSync(join(directory, JOURNAL)))
    await succeed(source, nv.write(4), 'writing')
    await kill(source)
    assert.equal(await numberIn(t, directory), 4)
  })

  it('that is missing: the TPM does not start with an older state', async (t) => {
    const directory = await crashed(t)
    rmSync(join(directory, JOURNAL))
    await assertRefused(t, directory, /the newest state is in "tpm2-00\.permall\.journal", which is missing/)
  })

  it('that is damaged: neither', async (t) => {
    const directory = await crashed(t)
    const journal = readFileSync(join(directory, JOURNAL))
    for (const at of [journal.length / 2 + 100, 100]) journal[at] = 0xff ^ (journal[at] as number)
    writeFileSync(join(directory, JOURNAL), journal)
    await assertRefused(t, directory, /is damaged/)
    writeFileSync(join(directory, JOURNAL), '')
    await assertRefused(t, directory, /is damaged/)
  })

  it('with its last entry torn: the one before is taken', async (t) => {
    const directory = await crashed(t)
    const journal = readFileSync(join(directory, JOURNAL))
    const slots = [0, journal.length / 2]
    const newest = slots.sort((a, b) =>
      Number(journal.readBigUInt64BE(a + 40) - journal.readBigUInt64BE(b + 40)),
    )[1] as number
    journal.fill(0, newest + 512, newest + 1024)
    writeFileSync(join(directory, JOURNAL), journal)
    assert.equal(await numberIn(t, directory), 4)
  })

  it('beside a permanent file of another day: refused if that needs one, otherwise outdated', async (t) => {
    const directory = temporaryDirectory(t)
    const engine = await busy(t, directory, 1)
    await powerOff(engine)
    const plain = readFileSync(join(directory, PERMANENT))
    await engine.close()
    await kill(await busy(t, directory, 2))
    const marked = readFileSync(join(directory, PERMANENT))
    await kill(await busy(t, directory, 3))

    const restored = temporaryDirectory(t)
    cpSync(join(directory, JOURNAL), join(restored, JOURNAL))
    writeFileSync(join(restored, PERMANENT), marked)
    await assertRefused(t, restored, /belongs to another one/)
    writeFileSync(join(restored, PERMANENT), plain)
    assert.equal(await numberIn(t, restored), 1)
    assertAtRest(restored)
  })

  it('without a permanent file: a new TPM, and no journal that is not its own', async (t) => {
    const directory = await crashed(t)
    rmSync(join(directory, PERMANENT))
    assert.equal(await numberIn(t, directory), -1)
    assertAtRest(directory)
    await kill(await busy(t, directory, 2))
    assert.equal(await numberIn(t, directory), 2)
  })

  it('is not begun for a state that is stored now and then, nor without being wanted', async (t) => {
    const directory = temporaryDirectory(t)
    const engine = await busy(t, directory, 5, { journal: false })
    assertAtRest(directory)
    await engine.close()
    const other = join(temporaryDirectory(t), 'backup')
    mkdirSync(other)
    await busy(t, other, 5, { backup: true })
    assertAtRest(other)
  })
})

describe('a journal on a failing disk', { skip: noCompiler() }, () => {
  it('that cannot be made: plain files do', async (t) => {
    const directory = temporaryDirectory(t)
    const shim = new DiskShim(t)
    const engine = await busy(t, directory, 1, { program: shim.engine })
    await powerOff(engine)
    // The next store follows the last one closely, so the first file that it makes is the journal.
    shim.breakDisk({ operation: 'create', error: 'EOPNOTSUPP', count: 1 })
    assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
    await succeed(engine, nv.startup, 'Startup')
    for (const number of [2, 3]) await succeed(engine, nv.write(number), 'writing')
    assert.equal(shim.hits, 1)
    assertAtRest(directory)
    await kill(engine)
    assert.equal(await numberIn(t, directory), 3)
  })

  it('that cannot be ended: what it holds is not lost', async (t) => {
    for (const operation of ['create', 'write', 'sync', 'rename', 'syncDirectory'] as const) {
      const directory = temporaryDirectory(t)
      const shim = new DiskShim(t)
      const engine = await busy(t, directory, 4, { program: shim.engine })
      shim.breakDisk({ operation, error: 'ENOSPC' })
      await powerOff(engine)
      assert.ok(shim.hits > 0)
      shim.heal()
      // In the same engine …
      const copy = join(temporaryDirectory(t), 'copy')
      cpSync(directory, copy, { recursive: true })
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
      await succeed(engine, nv.startup, 'Startup')
      assert.equal(nv.sequence(await ask(engine, nv.read)), 4)
      // … and in another one.
      assert.equal(await numberIn(t, copy), 4)
      assertAtRest(copy)
    }
  })
})

describe("a journal and Debian's swtpm", { skip: noReference }, () => {
  for (const [what, options] of [
    ['plain', {}],
    ['encrypted', { key: Buffer.alloc(16, 0x5a) }],
  ] as const) {
    it(`which refuses what a killed TPM has left (${what})`, async (t) => {
      const directory = await crashed(t, options)
      assert.match(String(await referenceNumber(t, directory)), /Could not initialize libtpms/)
    })
  }

  it('which sees the newest state after a clean stop', async (t) => {
    const directory = await crashed(t)
    assert.equal(await numberIn(t, directory), 5)
    assert.equal(await referenceNumber(t, directory), 5)
  })

  it('which may be killed and leave its state to ours', async (t) => {
    const directory = temporaryDirectory(t)
    const { dataPath, swtpm } = await startSocketTpm(t, undefined, { directory, program: REFERENCE_SWTPM })
    const connection = await RawConnection.open(dataPath)
    for (const command of [nv.define, nv.write(1)]) {
      connection.write(command)
      assert.equal(responseCode(await connection.readResponse()), 0)
    }
    await swtpm.stop('SIGKILL')
    await kill(await busy(t, directory, 2))
    assert.equal(await numberIn(t, directory), 2)
  })
})
