/** A TPM at work while its storage operations are recorded, and a look at the TPM that starts on what is left of them. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FRAME_KIND } from '../../../contract/engine-channel.ts'
import type { EngineClient } from '../../../src/engine-client/engine-client.ts'
import { check } from '../../../src/system/native/check.ts'
import { native } from '../../../src/system/native/load.ts'
import { RawConnection } from '../../support/raw-connection.ts'
import { type Cleanup, temporaryDirectory } from '../../support/swtpm.ts'
import { TpmClient } from '../../support/tpm-client.ts'
import { responseCode, TPM2, TPM12, tpm12 } from '../../support/tpm-commands.ts'
import type { Image } from './disk-model.ts'
import { type DiskRecord, DiskShim, type Fault } from './disk-shim.ts'
import { ask, createPrimaryEcc, defineLarge, NV, startEngineTpm, succeed } from './engine-tpm.ts'

const CHANNEL_FD = 3
const PCR = 16
const extension = Buffer.alloc(32, 0xee)
const VOLATILE = 2
const TPM_RC_NV_UNAVAILABLE = 0x923
/** Of 2048 bytes each, which together are more than the first journal takes. */
const LARGE_INDICES = 8
/** Numbers from here on are those of writes that fail. */
const REFUSED = 500_000

export interface Setup {
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
export interface Known {
  /** The number in the NV index; -1: it is not defined. */
  readonly sequence: number
  /** Numbers whose writing has been refused since then: the power cut may bring them all the same. */
  readonly refused: readonly number[]
  /** The volatile state is stored, and brings PCR 16 back. */
  readonly suspended: boolean
  /** TPM 1.2: Startup(STATE) works. */
  readonly saved: boolean
}

export const NOTHING: Known = { sequence: -1, refused: [], suspended: false, saved: false }

export interface Observation extends Omit<Known, 'refused'> {
  readonly identity: string
}

export interface Recording {
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

export async function record(t: Cleanup, setup: Setup, writes: number): Promise<Recording> {
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
  const client = new TpmClient(data, () => known.push(known.at(-1) ?? NOTHING))
  const tpm: Tpm = { engine, shim, command: (command) => client.ask(command) }
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

export const isResponse = ({ operation, fd, data }: DiskRecord): boolean =>
  operation === 'respond' && (fd !== CHANNEL_FD || data.readUInt32BE(4) === FRAME_KIND.reply)

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

export function putImage(image: Image): string {
  const directory = mkdtempSync(join(IMAGES, 'swtpm-image-'))
  for (const [name, content] of image) writeFileSync(join(directory, name), content)
  return directory
}

/** Powers a TPM on with what is left, and looks at it; it also has to take another write. */
export async function observe(setup: Setup, image: Image): Promise<Observation> {
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
