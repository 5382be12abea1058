/**
 * A disk that fails under a running TPM: the command that needed it has not happened and says so, everything else goes
 * on, the stored state stays good, and when the disk works again so does the TPM.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { EngineClient } from '../../src/engine-client/engine-client.ts'
import { noCompiler } from '../support/compilers.ts'
import { type Cleanup, temporaryDirectory } from '../support/swtpm.ts'
import { hex32, responseCode, TPM2, TPM12, tpm2 } from '../support/tpm-commands.ts'
import { DiskShim, type Fault } from './support/disk-shim.ts'
import { ask, createPrimaryEcc, defineLarge, NV, startEngineTpm, succeed } from './support/engine-tpm.ts'
import { figure } from './support/scale.ts'

const TPM_RC_NV_UNAVAILABLE = 0x923
const TPM_FAIL = 9
const PCR = 16

type Version = '1.2' | '2'
/** A directory has plain files or a journal; the latter is at work once the TPM has been set up. */
type Backend = 'dir' | 'journal' | 'linear'
const BACKENDS = ['dir', 'journal', 'linear'] as const

const JOURNAL = { '1.2': 'tpm-00.permall.journal', '2': 'tpm2-00.permall.journal' } as const

interface Patient {
  readonly shim: DiskShim
  readonly engine: EngineClient
  readonly directory: string
  readonly version: Version
  readonly backend: Backend
}

const settingsOf = (directory: string, backend: Backend) =>
  backend === 'linear'
    ? ({ backend, path: join(directory, 'linear') } as const)
    : ({ backend: 'dir', path: directory, journal: backend === 'journal' } as const)

/** A TPM with number 1 in its NV index. */
async function start(t: Cleanup, version: Version, backend: Backend): Promise<Patient> {
  const directory = join(temporaryDirectory(t), 'state')
  mkdirSync(directory)
  const shim = new DiskShim(t)
  const settings = { tpmVersion: version, ...settingsOf(directory, backend), program: shim.engine }
  const engine = await startEngineTpm(settings)
  t.after(() => engine.close())
  assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
  const nv = NV[version]
  for (const command of [nv.startup, nv.define, nv.write(1)]) await succeed(engine, command, 'setting up')
  assert.equal(existsSync(join(directory, JOURNAL[version])), backend === 'journal')
  return { shim, engine, directory, version, backend }
}

/** What a TPM finds that starts on a copy of the state as it is now. */
async function stored(t: Cleanup, { directory, version, backend }: Patient): Promise<number> {
  const copy = join(temporaryDirectory(t), 'copy')
  cpSync(directory, copy, { recursive: true })
  const engine = await startEngineTpm({ tpmVersion: version, ...settingsOf(copy, backend) })
  try {
    assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0, 'the stored state does not load')
    await succeed(engine, NV[version].startup, 'Startup')
    return NV[version].sequence(await ask(engine, NV[version].read))
  } finally {
    await engine.close()
  }
}

interface VolatileParts {
  /** They are as they were. */
  check(): Promise<void>
  remove(): Promise<void>
}

/** What lives in the TPM besides its state, to be looked at after a failure. */
async function volatileParts({ engine, version }: Patient): Promise<VolatileParts> {
  if (version === '1.2') {
    await succeed(engine, TPM12.extend(PCR, Buffer.alloc(20, 1)), 'extending a PCR')
    const pcr = await succeed(engine, TPM12.pcrRead(PCR), 'reading a PCR')
    return {
      check: async () => assert.deepEqual(await succeed(engine, TPM12.pcrRead(PCR), 'reading a PCR'), pcr),
      remove: async () => {},
    }
  }
  await succeed(engine, TPM2.pcrExtend(PCR, Buffer.alloc(32, 1)), 'extending a PCR')
  const key = (await succeed(engine, createPrimaryEcc, 'making a key')).readUInt32BE(10)
  const session = await succeed(
    engine,
    tpm2(0x176, ['40000007 40000007', 16, Buffer.alloc(16, 7), 0, '00 0010 000b']),
    'starting a session',
  )
  const read = (): Promise<Buffer[]> =>
    Promise.all([
      succeed(engine, TPM2.pcrRead(PCR), 'reading a PCR'),
      succeed(engine, tpm2(0x173, [hex32(key)]), 'reading the public key'),
      // GetCapability: loaded sessions, by their handles
      succeed(engine, tpm2(0x17a, ['00000001 02000000 00000010']), 'listing the sessions'),
    ])
  const before = await read()
  return {
    async check() {
      assert.deepEqual(await read(), before)
      assert.ok(before[2]?.includes(session.subarray(10, 14)))
    },
    async remove() {
      await succeed(engine, TPM2.flushContext(key), 'flushing the key')
      await succeed(engine, TPM2.flushContext(session.readUInt32BE(10)), 'flushing the session')
    },
  }
}

const refusal = (version: Version): number => (version === '2' ? TPM_RC_NV_UNAVAILABLE : TPM_FAIL)

async function suffer(t: Cleanup, patient: Patient, faults: Fault[], mayBeStored: boolean): Promise<void> {
  const { shim, engine, version } = patient
  const nv = NV[version]
  const parts = await volatileParts(patient)
  const number = async (): Promise<number> => nv.sequence(await ask(engine, nv.read))
  shim.breakDisk(...faults)
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.equal(responseCode(await ask(engine, nv.write(2))), refusal(version))
    assert.equal(await number(), 1, 'a command that failed must not have an effect')
    await parts.check()
  }
  assert.ok(shim.hits > 0, 'the fault was not met')
  const left = await stored(t, patient)
  assert.ok(left === 1 || (mayBeStored && left === 2), `number ${left} is stored`)
  shim.heal()
  await succeed(engine, nv.write(2), 'writing after the disk works again')
  assert.equal(await number(), 2)
  await parts.check()
  await parts.remove()
  assert.equal(await stored(t, patient), 2)
}

const ERRORS = ['ENOSPC', 'EIO', 'EDQUOT', 'EROFS'] as const

/** Where the disk may fail, and whether the new state may be on it all the same. */
const PLACES: {
  readonly [backend in Backend]: readonly (readonly [string, Omit<Fault, 'error'>, boolean])[]
} = {
  dir: [
    ['create', { operation: 'create' }, false],
    ['write', { operation: 'write' }, false],
    ['sync of the file', { operation: 'sync' }, false],
    ['rename', { operation: 'rename' }, false],
    ['sync of the directory', { operation: 'syncDirectory' }, true],
  ],
  journal: [
    ['write', { operation: 'write' }, false],
    ['sync', { operation: 'sync' }, true],
  ],
  linear: [
    ['write', { operation: 'write' }, false],
    ['sync of the data', { operation: 'sync' }, false],
    ['write of the header', { operation: 'write', skip: 1 }, false],
    ['sync of the header', { operation: 'sync', skip: 1 }, true],
  ],
}

describe('a failing disk', { skip: noCompiler() }, () => {
  for (const version of ['2', '1.2'] as const) {
    for (const backend of BACKENDS) {
      for (const [place, fault, mayBeStored] of PLACES[backend]) {
        // What TPM 1.2 does differently does not depend on the error.
        const errors = version === '2' ? ERRORS : (['EIO'] as const)
        it(`TPM ${version}, ${backend}: ${errors.join(', ')} at ${place}`, async (t) => {
          const patient = await start(t, version, backend)
          for (const error of errors) {
            await suffer(t, patient, [{ ...fault, error }], mayBeStored)
            await succeed(patient.engine, NV[version].write(1), 'writing the old number')
          }
          figure(`Failing disk: TPM ${version}, ${backend}, ${place}`, `${errors.join(', ')}: recovered`)
        })
      }
    }
  }

  it('TPM 2.0, linear: the file cannot grow', async (t) => {
    const patient = await start(t, '2', 'linear')
    patient.shim.breakDisk({ operation: 'truncate', error: 'ENOSPC' })
    // Large enough to need more room than the file has.
    const define = defineLarge(0x01500002)
    assert.equal(responseCode(await ask(patient.engine, define)), TPM_RC_NV_UNAVAILABLE)
    assert.equal(await stored(t, patient), 1)
    patient.shim.heal()
    await succeed(patient.engine, define, 'defining an index')
  })

  for (const backend of BACKENDS) {
    it(`${backend}: short and interrupted operations are no failures`, async (t) => {
      const patient = await start(t, '2', backend)
      const { shim, engine } = patient
      const interrupted = (['create', 'write', 'sync', 'syncDirectory', 'rename', 'truncate'] as const).map(
        (operation): Fault => ({ operation, error: 'EINTR', count: 3 }),
      )
      shim.breakDisk(...interrupted)
      await succeed(engine, NV['2'].write(2), 'writing with interruptions')
      assert.ok(shim.hits >= (backend === 'journal' ? 3 : 6))
      shim.breakDisk({ operation: 'write', error: 100 }, { operation: 'read', error: 7 })
      await succeed(engine, NV['2'].write(3), 'writing in small pieces')
      assert.ok(shim.hits > 10)
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0, 'reading in small pieces')
      shim.heal()
      assert.equal(await stored(t, patient), 3)
    })

    it(`${backend}: a TPM that cannot be made, and then can`, async (t) => {
      const directory = temporaryDirectory(t)
      const shim = new DiskShim(t)
      const engine = await startEngineTpm({
        ...{ ...settingsOf(directory, backend), program: shim.engine },
      })
      t.after(() => engine.close())
      shim.breakDisk({ operation: 'write', error: 'ENOSPC' })
      assert.notEqual((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
      shim.heal()
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
      await succeed(engine, NV['2'].startup, 'Startup')
    })

    it(`${backend}: Startup that cannot be stored, and then can`, async (t) => {
      const patient = await start(t, '2', backend)
      const { shim, engine } = patient
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
      shim.breakDisk({ operation: 'write', error: 'EIO' })
      assert.equal(responseCode(await ask(engine, NV['2'].startup)), TPM_RC_NV_UNAVAILABLE)
      // It has not happened.
      assert.equal(responseCode(await ask(engine, TPM2.getRandom())), 0x100)
      shim.heal()
      await succeed(engine, NV['2'].startup, 'Startup')
      assert.equal(NV['2'].sequence(await ask(engine, NV['2'].read)), 1)
    })
  }

  it('a state that cannot be read is no reason to make a new TPM', async (t) => {
    const { shim, engine, directory } = await start(t, '2', 'dir')
    const files = readdirSync(directory)
    for (const operation of ['open', 'read'] as const) {
      shim.breakDisk({ operation, error: 'EIO' })
      assert.notEqual((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
      assert.deepEqual(readdirSync(directory), files)
      shim.heal()
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
      await succeed(engine, NV['2'].startup, 'Startup')
      assert.equal(NV['2'].sequence(await ask(engine, NV['2'].read)), 1)
    }
  })
})
