/**
 * The power goes after each storage operation of a TPM at work, and the disk has lost whatever it may lose then: every
 * state left over starts a TPM, and the same one, and has everything that had been acknowledged.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { EngineClient } from '../../src/engine-client/engine-client.ts'
import { FRAME_REPLY } from '../../src/engine-client/engine-wire.ts'
import { check, native } from '../../src/native.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, REFERENCE_SWTPM, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2, TPM12, tpm12 } from '../support/tpm-commands.ts'
import { DiskModel, type Image } from './support/disk-model.ts'
import { type DiskRecord, DiskShim, type Fault } from './support/disk-shim.ts'
import { ask, createPrimaryEcc, defineLarge, NV, startEngineTpm, succeed } from './support/engine-tpm.ts'
import { noCompiler } from './support/preload.ts'
import { noReference, referenceNumber } from './support/reference.ts'
import { figure, scaled } from './support/scale.ts'

const CHANNEL_FD = 3
const PCR = 16
const extension = Buffer.alloc(32, 0xee)
const VOLATILE = 2
const TPM_RC_RETRY = 0x922
/** Of a state's header: the least version that a reader must know. */
const MIN_VERSION_AT = 1
const TPM_RC_NV_UNAVAILABLE = 0x923
/** Of 2048 bytes each, which together are more than the first journal takes. */
const LARGE_INDICES = 8
/** Numbers from here on are those of writes that fail. */
const REFUSED = 500_000

interface Setup {
  readonly name: string
  readonly tpmVersion: '1.2' | '2'
  readonly backend: 'dir' | 'linear'
  readonly key?: Buffer
  readonly backup?: boolean
  readonly journal?: boolean
  /** The state grows until the journal has to be made anew. */
  readonly grow?: boolean
  /** The disk fails once at each of these while a number is written. */
  readonly faults?: readonly Fault[]
}

/** What a client knows of the TPM once a step has been answered. */
interface Known {
  /** The number in the NV index; -1: it is not defined. */
  readonly sequence: number
  /** Numbers whose writing has been refused since then: the power cut may bring them all the same. */
  readonly refused: readonly number[]
  /** The volatile state is stored, and brings PCR 16 back. */
  readonly suspended: boolean
  /** TPM 1.2: Startup(STATE) works. */
  readonly saved: boolean
}

const NOTHING: Known = { sequence: -1, refused: [], suspended: false, saved: false }

interface Observation extends Omit<Known, 'refused'> {
  readonly identity: string
}

interface Recording {
  readonly records: DiskRecord[]
  /** What is known after each response, in the order in which they were given. */
  readonly known: Known[]
  readonly identity: string
}

interface Tpm {
  readonly engine: EngineClient
  readonly shim: DiskShim
  command(command: Buffer): Promise<Buffer>
}

type Step = readonly [Known, (tpm: Tpm) => Promise<unknown>]

function* script(setup: Setup, writes: number): Generator<Step> {
  const nv = NV[setup.tpmVersion]
  let known = NOTHING
  let failures = 0
  const ok =
    (bytes: Buffer) =>
    async ({ command }: Tpm) => {
      assert.equal(responseCode(await command(bytes)), 0, bytes.toString('hex'))
    }
  const write = (): Step => {
    known = { ...known, sequence: known.sequence + 1, refused: [] }
    return [known, ok(nv.write(known.sequence))]
  }
  const failToWrite = (fault: Fault): Step => {
    const number = REFUSED + ++failures
    known = { ...known, refused: [...known.refused, number] }
    return [
      known,
      async ({ command, shim }) => {
        shim.breakDisk(fault)
        assert.equal(responseCode(await command(nv.write(number))), TPM_RC_NV_UNAVAILABLE)
        shim.heal()
      },
    ]
  }
  yield [
    known,
    async ({ engine }) => assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0),
  ]
  yield [known, ok(nv.startup)]
  known = { ...known, sequence: 0 }
  yield [known, ok(nv.define)]
  for (let i = 0; i < writes; i++) yield write()
  for (let i = 0; setup.grow && i < LARGE_INDICES; i++) {
    yield [known, ok(defineLarge(0x01500010 + i))]
    yield write()
  }
  for (const fault of setup.faults ?? []) {
    yield failToWrite(fault)
    yield failToWrite(fault)
    yield write()
  }
  if (setup.tpmVersion === '2') {
    yield [known, ok(TPM2.pcrExtend(PCR, extension))]
    known = { ...known, suspended: true }
    yield [known, async ({ engine }) => assert.equal((await engine.verb('STORE_VOLATILE', {})).tpmResult, 0)]
    yield write()
    // Handing the volatile state out removes the file.
    known = { ...known, suspended: false }
    yield [
      known,
      async ({ engine }) =>
        engine.verb('GET_STATEBLOB', { stateFlags: 0, type: VOLATILE, offset: 0 } as never),
    ]
    yield write()
  } else {
    known = { ...known, saved: true }
    yield [known, ok(tpm12(0x98))]
  }
  yield [known, async ({ engine }) => assert.equal((await engine.verb('STOP', {})).tpmResult, 0)]
}

async function record(t: Cleanup, setup: Setup, writes: number): Promise<Recording> {
  const directory = temporaryDirectory(t)
  const shim = new DiskShim(t, { recording: true })
  const path = setup.backend === 'dir' ? directory : join(directory, 'linear')
  const engine = await startEngineTpm({ ...setup, path, program: shim.engine })
  t.after(() => engine.close())
  const [ours, theirs] = check(native.socketPair(), 'make a socket pair')
  const data = RawConnection.on(new Socket({ fd: ours, readable: true, writable: true }))
  assert.equal(await engine.attach('stream', theirs), 0)
  closeSync(theirs)
  const before = shim.records().filter(isResponse).length
  const known: Known[] = new Array(before).fill(NOTHING)
  const tpm: Tpm = {
    engine,
    shim,
    async command(command) {
      for (;;) {
        data.write(command)
        const response = await data.readResponse()
        if (responseCode(response) !== TPM_RC_RETRY) return response
        known.push(known.at(-1) ?? NOTHING)
      }
    },
  }
  for (const [state, step] of script(setup, writes)) {
    await step(tpm)
    known.push(state)
  }
  const records = shim.records()
  data.close()
  const journaled = records.filter(
    ({ operation, names }) => operation === 'create' && isJournal(names),
  ).length
  const expected = setup.backend === 'linear' || setup.backup || setup.journal === false ? 0 : 1
  assert.ok(setup.grow ? journaled > 1 : journaled === expected, `${journaled} journals were made`)
  let identity = ''
  if (setup.tpmVersion === '2') {
    assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
    await succeed(engine, NV['2'].startup, 'Startup')
    identity = await identify(engine)
  }
  assert.equal(records.filter(isResponse).length, known.length, 'every step has one response')
  return { records, known, identity }
}

const isJournal = (names: readonly string[]): boolean => names.some((name) => name.endsWith('.journal'))

const isResponse = ({ operation, fd, data }: DiskRecord): boolean =>
  operation === 'respond' && (fd !== CHANNEL_FD || data.readUInt32BE(4) === FRAME_REPLY)

async function identify(engine: EngineClient): Promise<string> {
  const response = await succeed(engine, createPrimaryEcc, 'making the primary key')
  const size = response.readUInt16BE(18)
  await succeed(engine, TPM2.flushContext(response.readUInt32BE(10)), 'flushing the primary key')
  return createHash('sha1')
    .update(response.subarray(20, 20 + size))
    .digest('hex')
}

/** In memory where possible: there are thousands of them. */
const IMAGES = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

function putImage(image: Image): string {
  const directory = mkdtempSync(join(IMAGES, 'swtpm-image-'))
  for (const [name, content] of image) writeFileSync(join(directory, name), content)
  return directory
}

/** Powers a TPM on with what is left, and looks at it; it also has to take another write. */
async function observe(setup: Setup, image: Image): Promise<Observation> {
  const directory = putImage(image)
  const path = setup.backend === 'dir' ? directory : join(directory, 'linear')
  const { tpmVersion } = setup
  const nv = NV[tpmVersion]
  try {
    const engine = await startEngineTpm({ ...setup, path, sync: false })
    try {
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0, 'INIT')
      let suspended = false
      let saved = false
      if (tpmVersion === '2') {
        const { response } = await engine.process(Buffer.from(nv.startup))
        // TPM_RC_INITIALIZE: the TPM goes on where it was suspended.
        suspended = responseCode(response) === 0x100
        if (!suspended) assert.equal(responseCode(response), 0, 'Startup')
        else await assertExtended(engine)
      } else {
        saved = responseCode((await engine.process(tpm12(0x99, '0002'))).response) === 0
        if (!saved) {
          await engine.verb('INIT', { initFlags: 0 })
          await succeed(engine, TPM12.startupClear, 'Startup')
        }
      }
      const sequence = nv.sequence(await ask(engine, nv.read))
      const identity = tpmVersion === '2' ? await identify(engine) : ''
      if (sequence >= 0) await succeed(engine, nv.write(1_000_000), 'writing once more')
      return { sequence, suspended, saved, identity }
    } finally {
      await engine.close()
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function assertExtended(engine: EngineClient): Promise<void> {
  const expected = createHash('sha256')
    .update(Buffer.concat([Buffer.alloc(32), extension]))
    .digest()
  const response = await succeed(engine, TPM2.pcrRead(PCR), 'reading the PCR')
  assert.deepEqual(response.subarray(-32), expected, 'the PCR of the suspended TPM')
}

const key = Buffer.alloc(32, 0x5a)
const setups: Setup[] = [
  { name: 'TPM 2.0, directory', tpmVersion: '2', backend: 'dir' },
  { name: 'TPM 2.0, directory, key', tpmVersion: '2', backend: 'dir', key },
  { name: 'TPM 2.0, directory, state that grows', tpmVersion: '2', backend: 'dir', grow: true },
  { name: 'TPM 2.0, directory, plain files', tpmVersion: '2', backend: 'dir', journal: false },
  { name: 'TPM 2.0, directory, backup', tpmVersion: '2', backend: 'dir', backup: true },
  { name: 'TPM 2.0, linear file', tpmVersion: '2', backend: 'linear' },
  { name: 'TPM 2.0, linear file, key', tpmVersion: '2', backend: 'linear', key },
  {
    name: 'TPM 2.0, plain files, a disk that fails now and then',
    ...{ tpmVersion: '2', backend: 'dir', journal: false },
    faults: (['create', 'write', 'sync', 'rename', 'syncDirectory'] as const).map((operation) => ({
      ...{ operation, error: 'EIO' },
    })),
  },
  {
    name: 'TPM 2.0, journal, a disk that fails now and then',
    ...{ tpmVersion: '2', backend: 'dir' },
    faults: (['write', 'sync'] as const).map((operation) => ({ ...{ operation, error: 'EIO' } })),
  },
  {
    name: 'TPM 2.0, linear file, a disk that fails now and then',
    // Encrypted, because then a mixture of two blobs is always found out.
    ...{ tpmVersion: '2', backend: 'linear', key },
    faults: (['write', 'sync'] as const).flatMap((operation) => [
      { operation, error: 'EIO' },
      { operation, error: 'EIO', skip: 1 },
    ]),
  },
  { name: 'TPM 1.2, directory', tpmVersion: '1.2', backend: 'dir' },
  { name: 'TPM 1.2, linear file', tpmVersion: '1.2', backend: 'linear' },
]

const WRITES = scaled(2, 8)
/** How many of the different disks a TPM is started on; a TPM 1.2 takes a second or two for that. */
const SAMPLE = {
  '2': scaled(20, Number.POSITIVE_INFINITY),
  '1.2': scaled(3, 150),
}

interface Result {
  readonly points: number
  readonly possible: number
  readonly different: number
  readonly started: number
  readonly failures: string[]
}

/** Cuts the power after every operation and starts a TPM on what may be left, on about `sample` of the disks. */
async function examine(setup: Setup, recording: Recording, sample: number): Promise<Result> {
  const { records, known, identity } = recording
  const model = new DiskModel(setup.backend === 'linear')
  /** The different disks, each with the numbers of responses that may have been given by then. */
  const disks = new Map<string, { image: Image; points: Map<number, number> }>()
  let responses = 0
  let points = 0
  let possible = 0
  const cut = (at: number): void => {
    points++
    for (const [id, image] of model.images()) {
      possible++
      const disk = disks.get(id) ?? { image, points: new Map() }
      disk.points.set(responses, at)
      disks.set(id, disk)
    }
  }
  cut(0)
  records.forEach((entry, at) => {
    if (isResponse(entry)) responses++
    else model.apply(entry)
    cut(at + 1)
  })

  const every = Math.max(1, Math.floor(disks.size / sample))
  const chosen = [...disks.values()].filter((_disk, i) => i % every === 0)
  const failures: string[] = []
  for (const { image, points: at } of chosen) {
    try {
      const seen = await observe(setup, image)
      for (const given of at.keys()) compare(seen, known, given, identity)
    } catch (error) {
      const where = [...at.values()].join(', ')
      failures.push(`${describeImage(image)} after operations ${where}: ${(error as Error).message}`)
    }
  }
  return { points, possible, different: disks.size, started: chosen.length, failures }
}

describe('power cut', { skip: noCompiler() }, () => {
  for (const setup of setups) {
    it(setup.name, async (t) => {
      const recording = await record(t, setup, WRITES)
      const result = await examine(setup, recording, SAMPLE[setup.tpmVersion])
      figure(
        `Power cut: ${setup.name}`,
        `${result.points} points, ${result.possible} possible disks, ${result.different} different, ` +
          `${result.started} started; ${result.failures.length} unusable or with acknowledged writes lost`,
      )
      assert.deepEqual(result.failures, [], recording.records.map(describeRecord).join('\n'))
    })
  }

  // If this fails, the tests above prove nothing.
  for (const backend of ['dir', 'linear'] as const) {
    it(`finds the damage where nothing is synced (${backend})`, async (t) => {
      const setup: Setup = { name: 'unsynced', tpmVersion: '2', backend }
      const recording = await record(t, setup, 1)
      const records = recording.records.filter(({ operation }) => !operation.startsWith('sync'))
      const unsynced = { ...recording, records: records.slice(0, 14) }
      const { started, failures } = await examine(setup, unsynced, scaled(20, 200))
      figure(
        `Power cut: control, nothing synced (${backend})`,
        `${started} started, ${failures.length} of them found damaged`,
      )
      assert.ok(failures.length > 0)
    })
  }
})

function compare(seen: Observation, known: readonly Known[], responses: number, identity: string): void {
  // The step whose response has not been given yet may or may not have taken place.
  const least = known[responses - 1] ?? NOTHING
  const most = known[responses] ?? least
  assertSequence(seen.sequence, least, most)
  if (least.suspended === most.suspended) assert.equal(seen.suspended, least.suspended, 'volatile state')
  if (least.saved) assert.ok(seen.saved, 'TPM_SaveState')
  if (least.sequence >= 0) assert.equal(seen.identity, identity, 'the identity of the TPM')
}

function assertSequence(seen: number, least: Known, most: Known): void {
  const allowed = [...new Set([least.sequence, ...least.refused, most.sequence, ...most.refused])]
  assert.ok(allowed.includes(seen), `number ${seen} is there; possible: ${allowed.join(', ')}`)
}

interface Left {
  readonly image: Image
  /** How many responses had been given. */
  readonly responses: number
}

/** About `sample` of the disks on which somebody else would have to find the index. */
function readableStates(
  model: DiskModel,
  records: readonly DiskRecord[],
  known: readonly Known[],
  sample: number,
): Left[] {
  const images = new Map<string, Left>()
  let responses = 0
  for (const entry of records) {
    if (isResponse(entry)) responses++
    else model.apply(entry)
    // Before the first write there is no TPM that would have to be read.
    if ((known[responses - 1]?.sequence ?? -1) < 0) continue
    for (const [id, image] of model.images()) images.set(id, { image, responses })
  }
  const all = [...images.values()]
  const step = Math.max(1, Math.floor(all.length / sample))
  return all.filter((_one, i) => i % step === 0 || i === all.length - 1)
}

const describeRecord = ({ operation, fd, result, offset, names, data }: DiskRecord, at: number): string =>
  `${at} ${operation} ${fd} ${result} ${offset} ${names.join(' ')} ${data.length} bytes`

const describeImage = (image: Image): string =>
  [...image].map(([name, content]) => `${name} ${content.length} bytes`).join(', ')

describe("power cut, directory, read by Debian's swtpm", { skip: noCompiler() || noReference }, () => {
  it('finds what was acknowledged, or does not start', async (t) => {
    const { records, known } = await record(t, { name: 'directory', tpmVersion: '2', backend: 'dir' }, WRITES)
    const chosen = readableStates(new DiskModel(false), records, known, scaled(12, 200))
    let refused = 0
    for (const { image, responses } of chosen) {
      const directory = putImage(image)
      t.after(() => rmSync(directory, { recursive: true, force: true }))
      const number = await referenceNumber(t, directory)
      if (typeof number === 'number') {
        const least = known[responses - 1] as Known
        assertSequence(number, least, known[responses] ?? least)
      } else {
        const permanent = image.get('tpm2-00.permall') as Buffer
        assert.equal(permanent[MIN_VERSION_AT], 3, `${describeImage(image)}: ${number}`)
        refused++
      }
    }
    assert.ok(refused > 0 && refused < chosen.length)
    figure(
      "Power cut: directory, Debian's swtpm",
      `${chosen.length} disks: ${refused} refused, as their journal has newer states; otherwise nothing lost`,
    )
  })
})

describe("power cut, linear file, read by Debian's swtpm", { skip: noCompiler() || noReference }, () => {
  it('starts on what is left and finds what was acknowledged', async (t) => {
    const setup = setups.find(({ name }) => name === 'TPM 2.0, linear file') as Setup
    const { records, known } = await record(t, setup, WRITES)
    const chosen = readableStates(new DiskModel(true), records, known, scaled(4, 60))
    for (const { image, responses: given } of chosen) {
      const directory = putImage(image)
      t.after(() => rmSync(directory, { recursive: true, force: true }))
      const { swtpm, dataPath } = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear'], {
        ...{ directory, backend: 'file', program: REFERENCE_SWTPM },
      })
      const data = await RawConnection.open(dataPath)
      let response: Buffer
      do {
        data.write(NV['2'].read)
        response = await data.readResponse()
      } while (responseCode(response) === TPM_RC_RETRY)
      const sequence = NV['2'].sequence(response)
      const ended = swtpm.stop('SIGKILL')
      data.close()
      await ended
      const least = known[given - 1] as Known
      const most = known[given] ?? least
      assertSequence(sequence, least, most)
      assert.ok(readFileSync(join(directory, 'linear')).length > 0)
    }
    figure("Power cut: linear file, Debian's swtpm", `${chosen.length} disks started, 0 unusable`)
  })
})
