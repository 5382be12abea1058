/**
 * The power goes after each storage operation of a TPM at work, and the disk has lost whatever it may lose then: every
 * state left over starts a TPM, and the same one, and has everything that had been acknowledged.
 */

import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { noCompiler } from '../support/compilers.ts'
import { REFERENCE_SWTPM, startSocketTpm } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { DiskModel, type Image } from './support/disk-model.ts'
import type { DiskRecord } from './support/disk-shim.ts'
import { NV } from './support/engine-tpm.ts'
import {
  isResponse,
  type Known,
  NOTHING,
  type Observation,
  observe,
  putImage,
  type Recording,
  record,
  type Setup,
} from './support/recorded-tpm.ts'
import { noReference, referenceNumber } from './support/reference.ts'
import { figure, scaled } from './support/scale.ts'

/** Of a state's header: the least version that a reader must know. */
const MIN_VERSION_AT = 1

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

/** About `sample` of the disks on which another implementation would have to find the index. */
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
      const client = await TpmClient.open(dataPath)
      const sequence = NV['2'].sequence(await client.ask(NV['2'].read))
      const ended = swtpm.stop('SIGKILL')
      client.connection.close()
      await ended
      const least = known[given - 1] as Known
      const most = known[given] ?? least
      assertSequence(sequence, least, most)
      assert.ok(readFileSync(join(directory, 'linear')).length > 0)
    }
    figure("Power cut: linear file, Debian's swtpm", `${chosen.length} disks started, 0 unusable`)
  })
})
