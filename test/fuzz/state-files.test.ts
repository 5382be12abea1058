/**
 * State files and linear images, damaged: the TPM starts with them or says that it cannot, at once; it never crashes, and
 * a state that it cannot use is left as it is. What was encrypted is either as it was or refused.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ask, NV, startEngineTpm } from '../hard/support/engine-tpm.ts'
import { figure } from '../hard/support/scale.ts'
import { type Cleanup, projectRoot, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { mutate, type Random } from './random.ts'
import { fuzz, settled } from './rounds.ts'

const LINEAR_HEADER_BYTES = 192
const TPM_RC_INITIALIZE = 0x100
const TPM_INVALID_POSTINIT = 0x26
const SEQUENCE = 5

interface Kind {
  readonly name: string
  /** What is damaged; its README says what is in it. */
  readonly vectors: string
  readonly tpmVersion: '1.2' | '2'
  readonly backend: 'dir' | 'linear'
  readonly key?: Buffer
}

const key = Buffer.alloc(32, 0x33)
const kinds: readonly Kind[] = [
  { name: 'TPM 2.0, directory', vectors: 'directory', tpmVersion: '2', backend: 'dir' },
  { name: 'TPM 2.0, directory, key', vectors: 'directory-key', tpmVersion: '2', backend: 'dir', key },
  { name: 'TPM 2.0, linear file', vectors: 'linear', tpmVersion: '2', backend: 'linear' },
  { name: 'TPM 2.0, linear file, key', vectors: 'linear-key', tpmVersion: '2', backend: 'linear', key },
  { name: 'TPM 1.2, directory', vectors: 'tpm-1.2', tpmVersion: '1.2', backend: 'dir' },
]

type Files = Map<string, Buffer>

function readAll(directory: string): Files {
  return new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))]))
}

function damage(random: Random, kind: Kind, good: Files): Files {
  const files = new Map(good)
  const name = random.pick([...files.keys()])
  let content = files.get(name) as Buffer
  if (kind.backend === 'linear' && random.chance(0.6)) {
    // The header is the interesting part of it.
    content = Buffer.concat([
      mutate(random, content.subarray(0, LINEAR_HEADER_BYTES)).subarray(0, LINEAR_HEADER_BYTES),
      content.subarray(LINEAR_HEADER_BYTES),
    ])
  } else {
    content = mutate(random, content)
    // A wrong total length is found first; often, what comes behind is to be tested.
    if (kind.backend === 'dir' && content.length >= 10 && random.chance(0.7))
      content.writeUInt32BE(content.length, 6)
  }
  files.set(name, content)
  if (random.chance(0.05)) files.delete(random.pick([...files.keys()]))
  return files
}

/** @returns whether a TPM started */
async function tryState(kind: Kind, files: Files, t: Cleanup): Promise<boolean> {
  const nv = NV[kind.tpmVersion]
  const directory = temporaryDirectory(t)
  for (const [name, content] of files) writeFileSync(join(directory, name), content)
  const path = kind.backend === 'dir' ? directory : join(directory, 'linear')
  const start = settled('the start', startEngineTpm({ ...kind, path, sync: false }))
  const engine = await start.catch((error: Error) => {
    // A linear file that makes no sense is refused before there is a TPM.
    assert.match(error.message, /it exited with status 1/)
    return undefined
  })
  if (engine === undefined) {
    assert.deepEqual(readAll(directory), files, 'a file that is refused must be left alone')
    return false
  }
  t.after(() => engine.close())
  const { tpmResult } = await settled('INIT', engine.verb('INIT', { initFlags: 0 }))
  if (tpmResult === 0) {
    const { response } = await settled('Startup', engine.process(Buffer.from(nv.startup)))
    const up = [0, TPM_RC_INITIALIZE, TPM_INVALID_POSTINIT].includes(responseCode(response))
    if (kind.key !== undefined && up && existed(kind, files))
      assert.equal(nv.sequence(await ask(engine, nv.read)), SEQUENCE, 'what was encrypted has changed')
    // A damaged state without a key may load, and be anything; using it must not do harm.
    for (const command of [nv.read, nv.write(1), TPM2.pcrRead(3), TPM2.getRandom()])
      await settled('a command', engine.process(Buffer.from(command)))
  }
  await settled('the end', engine.close())
  if (tpmResult !== 0) assertLeftAlone(kind, directory, files)
  return tpmResult === 0
}

/** Whether anything says that there is a permanent state: without its slot, a linear file has none. */
function existed(kind: Kind, files: Files): boolean {
  if (kind.backend === 'dir') return files.has(permanentName(kind))
  return (
    files
      .get('linear')
      ?.subarray(12, 24)
      .some((byte) => byte !== 0) ?? false
  )
}

const permanentName = ({ tpmVersion }: Kind): string => `${tpmVersion === '2' ? 'tpm2' : 'tpm'}-00.permall`

/** @throws when files that the TPM did not start with are no longer as they were */
function assertLeftAlone(kind: Kind, directory: string, files: Files): void {
  const now = readAll(directory)
  // Where there was no permanent state a new TPM has been made, and stored, before the other state was refused.
  if (!existed(kind, files)) now.delete(permanentName(kind))
  assert.deepEqual([...now.keys()].sort(), [...files.keys()].sort(), 'the files there are')
  for (const [name, content] of files)
    assert.ok(now.get(name)?.equals(content), `${name}, which was refused, must be left alone`)
}

describe('damaged state', () => {
  for (const kind of kinds) {
    it(kind.name, async () => {
      const good = readAll(join(projectRoot, 'test/vectors/fuzz-state', kind.vectors))
      let loaded = 0
      let deaths = 0
      const rounds = await fuzz(kind.tpmVersion === '2' ? 30 : 3, async (random, t) => {
        try {
          if (await tryState(kind, damage(random, kind, good), t)) loaded++
        } catch (error) {
          // libtpms 0.9.2 follows the offsets inside its state wherever they lead. Where a key vouches for the state it
          // never sees such ones; without, its death is no fault of ours.
          const message = (error as Error).message
          if (kind.key !== undefined || !/killed by SIG(SEGV|BUS|ABRT|FPE)/.test(message)) throw error
          deaths++
        }
      })
      figure(
        `Fuzzer: state files, ${kind.name}`,
        `${rounds} rounds, ${loaded} loaded: no hang, nothing overwritten` +
          (deaths > 0 ? `; libtpms died of ${deaths}` : ', no crash'),
      )
    })
  }
})
