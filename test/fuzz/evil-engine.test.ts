/**
 * An engine that its guest has broken into, at random: what it says to the supervisor, and what it leaves to the engine after it.
 * The TPM may be lost, with a reason; the supervisor, the next engine and the TPM beside it may not.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FRAME_KIND, frameHeader } from '../../contract/engine-channel.ts'
import { ENGINE_EVENTS, type EngineEventName } from '../../contract/engine-events.ts'
import { BIG } from '../../contract/struct.ts'
import { EVIL, eventFrame, evilEngine } from '../hard/support/evil-engine.ts'
import { figure } from '../hard/support/scale.ts'
import { noCxxCompiler } from '../support/compilers.ts'
import { CMD } from '../support/control-commands.ts'
import { type FleetTpm, type RunningFleet, startFleet } from '../support/fleet.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, startSocketTpm } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { EDGES, type Random } from './random.ts'
import { fuzz, settled } from './rounds.ts'

/** An engine is followed by eight others within a minute, and then by none. */
const ENGINES_PER_TPM = 7
/** Where the layout of the shared state has its numbers and lengths; behind it there are bytes, most of them zero. */
const HEADS = [0, 4096, 278_584, 278_584 + 4096] as const
const SHARED_STATE_BYTES = 1_867_936

/** @returns the response code; undefined where the TPM has gone, or this client's connection */
async function ask(dataPath: string, command: Buffer): Promise<number | undefined> {
  try {
    const data = await RawConnection.open(dataPath)
    data.write(command)
    const code = responseCode(await data.readResponse())
    data.close()
    return code
  } catch {
    return undefined
  }
}

function something(random: Random): Buffer {
  const payload = random.bytes(random.pick([0, 1, 3, 4, 8, 12, 40, 41, 100, 3000]))
  if (payload.length >= 4 && random.chance(0.5)) payload.writeUInt32BE(random.pick(EDGES) >>> 0, 0)
  if (random.chance(0.5)) {
    return eventFrame(random.pick(Object.keys(ENGINE_EVENTS) as EngineEventName[]), payload)
  }
  const length = random.chance(0.7) ? payload.length : random.pick(EDGES) >>> 0
  const kind = random.chance(0.8) ? random.pick(Object.values(FRAME_KIND)) : random.pick(EDGES) >>> 0
  return Buffer.concat([frameHeader.encode({ length, kind, id: random.below(6) }, BIG), payload])
}

async function goesOn(fleet: RunningFleet, other: FleetTpm): Promise<void> {
  assert.equal(await settled('the other TPM', ask(other.data, TPM2.getRandom())), 0)
  assert.equal((await fleet.list()).find(({ name }) => name === 'other')?.state, 'running')
}

describe('an engine that has been broken into', { skip: noCxxCompiler() }, () => {
  it('harms no other TPM of its fleet by what it says', async (t) => {
    const fleet = await startFleet(t, { tpms: ['other'], env: { SWTPM_ENGINE: evilEngine() } })
    const other = fleet.describe('other')
    let said = 0
    const rounds = await fuzz(2, async (random) => {
      const tpm = await fleet.add('evil')
      for (let i = 0; i < ENGINES_PER_TPM; i++) {
        // Before, while and after it is asked for something.
        if (random.chance(0.5)) await ask(tpm.data, EVIL.answer(random.bytes(random.below(30))))
        const control = await RawConnection.open(tpm.control).catch(() => undefined)
        control?.write(random.pick([CMD.GET_CONFIG, `${CMD.GET_STATEBLOB}000000000000000100000000`]))
        await ask(tpm.data, EVIL.say(something(random)))
        control?.close()
        said++
      }
      await goesOn(fleet, other)
      await fleet.run('remove', 'evil')
      assert.doesNotMatch(fleet.swtpm.stderr, /Internal error/)
    })
    assert.equal(await settled('the end', fleet.swtpm.stop()), 0)
    figure(
      'Fuzzer: an engine that has been broken into, against the supervisor',
      `${rounds} TPMs, ${said} things said: nothing of another TPM lost, no crash`,
    )
  })

  it('leaves nothing that brings the next engine down', async () => {
    let left = 0
    let refused = 0
    const rounds = await fuzz(2, async (random, t: Cleanup) => {
      const tpm = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
      for (let i = 0; i < ENGINES_PER_TPM && tpm.swtpm.running; i++) {
        for (let n = random.below(4); n >= 0; n--) {
          const offset = random.chance(0.8)
            ? random.pick(HEADS) + 4 * random.below(64)
            : random.below(SHARED_STATE_BYTES - 64)
          const bytes = random.bytes(random.pick([1, 4, 8, 64]))
          if (bytes.length >= 4 && random.chance(0.5)) bytes.writeUInt32LE(random.pick(EDGES) >>> 0, 0)
          await ask(tpm.dataPath, EVIL.poke(offset, bytes))
        }
        await ask(tpm.dataPath, EVIL.go(1))
        left++
        // It goes on, or the TPM ends with a reason.
        await waitFor(
          async () => !tpm.swtpm.running || (await ask(tpm.dataPath, TPM2.getRandom())) !== undefined,
          {
            what: 'the next engine, or the end',
          },
        )
      }
      if (!tpm.swtpm.running) refused++
      await settled('the end', tpm.swtpm.stop())
      assert.doesNotMatch(tpm.swtpm.stderr, /Internal error|SIGSEGV|SIGBUS|SIGABRT|SIGFPE|SIGILL/)
    })
    figure(
      'Fuzzer: what an engine that has been broken into leaves to the next',
      `${rounds} TPMs, ${left} engines, ${refused} TPMs refused: no crash`,
    )
  })
})
