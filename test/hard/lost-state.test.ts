/**
 * State that is damaged, replaced or gone: a TPM never starts without what it had, what cannot be read stays where it is, and
 * a state blob is what the TPM has.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { EngineClient } from '../../src/engine-client/engine-client.ts'
import { CMD } from '../support/control-commands.ts'
import { enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { TAG } from '../support/state-blob.ts'
import { type Cleanup, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TPM2, TPM12 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { NV, startEngineTpm, succeed } from './support/engine-tpm.ts'

const PCR = 16
const KEY = Buffer.alloc(16, 7)
const BLOB = { permanent: 1, volatile: 2, savestate: 3 } as const
const DECRYPTED = 1

type Version = '1.2' | '2'

const COMMANDS = {
  '1.2': { extend: TPM12.extend(PCR, Buffer.alloc(20, 1)), read: TPM12.pcrRead(PCR) },
  '2': { extend: TPM2.pcrExtend(PCR, Buffer.alloc(32, 1)), read: TPM2.pcrRead(PCR) },
} as const

interface Patient {
  readonly engine: EngineClient
  readonly directory: string
  readonly version: Version
  /** What the engine has logged as errors and warnings, since the last call. */
  takeLog(): string
  file(name: string): string
  init(): Promise<number>
  stop(): Promise<void>
  blob(type: keyof typeof BLOB, flags?: number): Promise<{ tpmResult: number; data?: Buffer }>
}

async function start(t: Cleanup, version: Version, key?: Buffer, path?: string): Promise<Patient> {
  const directory = path ?? temporaryDirectory(t)
  const engine = await startEngineTpm({ tpmVersion: version, path: directory, ...(key && { key }) })
  t.after(() => engine.close())
  let logged = ''
  engine.on('log', (level, text) => {
    if (level <= 2) logged += `${text}\n`
  })
  return {
    engine,
    directory,
    version,
    takeLog() {
      const text = logged
      logged = ''
      return text
    },
    file: (name) => join(directory, `tpm${version === '2' ? '2' : ''}-00.${name}`),
    init: async () => (await engine.verb('INIT', { initFlags: 0 })).tpmResult,
    async stop() {
      assert.equal((await engine.verb('STOP', {})).tpmResult, 0)
    },
    async blob(type, flags = 0) {
      const outcome = await engine.verb('GET_STATEBLOB', { stateFlags: flags, type: BLOB[type], offset: 0 })
      return 'data' in outcome ? { tpmResult: 0, data: outcome.data } : outcome
    },
  }
}

/** Powered on and started up, with a PCR that is not as after a reset. @returns what reading that PCR answers */
async function startUp({ engine, version, init }: Patient): Promise<Buffer> {
  assert.equal(await init(), 0)
  await succeed(engine, NV[version].startup, 'Startup')
  await succeed(engine, COMMANDS[version].extend, 'extending a PCR')
  return succeed(engine, COMMANDS[version].read, 'reading a PCR')
}

/** A header of version 2 in front of one field with `content`. */
function stateFile(content: Buffer, tag: number = TAG.data, version = 2): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt8(version, 0)
  head.writeUInt8(version, 1)
  head.writeUInt16BE(10, 2)
  head.writeUInt32BE(16 + content.length, 6)
  head.writeUInt16BE(tag, 10)
  head.writeUInt32BE(content.length, 12)
  return Buffer.concat([head, content])
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 0x10, at)
  return copy
}

/** What may have happened to a state file. `original` is its content. */
const DAMAGES: { readonly [name: string]: (path: string, original: Buffer) => void } = {
  'other bytes': (path) => writeFileSync(path, Buffer.alloc(500, 0x5a)),
  'a flipped bit in the header': (path, original) => writeFileSync(path, flipped(original, 1)),
  'a flipped bit in the middle': (path, original) =>
    writeFileSync(path, flipped(original, original.length >> 1)),
  'a flipped last bit': (path, original) => writeFileSync(path, flipped(original, original.length - 1)),
  'a shorter file': (path, original) => truncateSync(path, original.length - 1),
  'a header only': (path) => truncateSync(path, 10),
  'an empty file': (path) => truncateSync(path, 0),
  'a whole file around a few bytes': (path) => writeFileSync(path, stateFile(Buffer.alloc(7))),
  'a whole file around nothing': (path) => writeFileSync(path, stateFile(Buffer.alloc(0))),
  'a newer format': (path, original) => writeFileSync(path, stateFile(original.subarray(16), TAG.data, 3)),
  'a directory': (path) => {
    rmSync(path)
    mkdirSync(path)
  },
  'a link': (path, original) => {
    writeFileSync(`${path}.target`, original)
    rmSync(path)
    symlinkSync(`${path}.target`, path)
  },
  'a FIFO': (path) => {
    rmSync(path)
    execFileSync('mkfifo', [path])
  },
  'a file that may not be read': (path) => chmodSync(path, 0),
}

/** What is at a path, so that two looks can be compared. */
function look(path: string): string {
  const status = lstatSync(path)
  return `${status.mode} ${status.size} ${status.ino} ${status.mtimeMs}`
}

/** Powering a TPM 1.2 on takes 0.3 s. */
const FEW = ['other bytes', 'a flipped bit in the middle', 'a shorter file', 'a directory']

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
    assert.match(plain.takeLog(), /it is encrypted, and no key was given; mend it, or move it away/)
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
