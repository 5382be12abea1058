/**
 * Frames on the engine's channel: whole, cut, glued, too long, unknown. The supervisor is trusted, but what it passes on
 * is not all its own. The engine answers each whole request once and ends in order when the channel does.
 */

import assert from 'node:assert/strict'
import { closeSync, constants, openSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { encodeFrame, FRAME_KIND, FrameDecoder, frameHeader } from '../../contract/engine-channel.ts'
import { engineArguments } from '../../contract/engine-options.ts'
import { SHARED_STATE_SIZE_BYTES } from '../../contract/limits.ts'
import { BIG } from '../../contract/struct.ts'
import { Spawner } from '../../src/engine-client/channel/spawner.ts'
import { DescriptorSocket } from '../../src/system/io/descriptor-socket.ts'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { NV } from '../hard/support/engine-tpm.ts'
import { figure } from '../hard/support/scale.ts'
import { ENGINE_DEFAULTS } from '../support/engine-defaults.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { EDGES, mutate, type Random } from './random.ts'
import { fuzz, HANG_MS, settled } from './rounds.ts'
import { anyVerb, u32 } from './verbs.ts'

const FRAMES_PER_ROUND = 40

/** Requests of the supervisor's own, beside the verbs. */
const PRIVATE_CODES = [0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006, 0x1007, 0x1008, 0x1009, 0x100a]

interface Request {
  readonly code: number
  readonly body: Buffer
}

/** A request that makes sense. */
function request(random: Random): Request {
  if (random.chance(0.5)) return anyVerb(random)
  const command = random.pick([
    NV['2'].startup,
    NV['2'].define,
    NV['2'].write(7),
    NV['2'].read,
    TPM2.getRandom(),
  ])
  const data = random.bytes(random.pick([0, 1, 10, 16, 32, 100, 3072, 5000]))
  const [code, body] = random.pick<() => [number, Buffer]>([
    () => [3, Buffer.alloc(0)],
    () => [0x1003, Buffer.concat([Buffer.from([0xff, 0, 0, 0]), u32(command.length), command])],
    () => [0x1003, Buffer.concat([Buffer.from([random.below(8), 0, 0, 0]), u32(data.length), data])],
    () => [0x1004, u32(random.below(3))],
    () => [0x1005, Buffer.concat([u32(random.below(3), data.length), data])],
    () => [0x1006, u32(random.below(2))],
    () => [0x1007, u32(random.below(5))],
    () => [0x1008, Buffer.concat([u32(data.length), data])],
    // Without a descriptor: refused.
    () => [0x1001, u32(random.below(6), random.below(4))],
    () => [0x1002, Buffer.alloc(0)],
    () => [0x1009, Buffer.alloc(0)],
  ])()
  return { code, body }
}

interface Sent {
  readonly bytes: Buffer
  /** It is a request, and the next frame begins where it ends. */
  readonly answered: boolean
  /** From here on it is unknown where frames begin. */
  readonly broken: boolean
}

function frame(random: Random, id: number): Sent {
  const { code, body } = request(random)
  const sent = (bytes: Buffer, { answered = true, broken = false } = {}): Sent => ({
    bytes,
    answered,
    broken,
  })
  switch (random.below(50)) {
    case 0:
      return sent(mutate(random, encodeFrame(FRAME_KIND.request, id, code, body)), {
        answered: false,
        broken: true,
      })
    case 1:
    case 2:
      return sent(encodeFrame(random.pick([0, 2, 3, 4, 0xffffffff]), id, code, body), { answered: false })
    case 3:
    case 4:
      // Too short for a code.
      return sent(
        Buffer.concat([
          frameHeader.encode({ length: 3, kind: FRAME_KIND.request, id }, BIG),
          random.bytes(3),
        ]),
      )
    case 5:
    case 6:
      return sent(encodeFrame(FRAME_KIND.request, id, random.pick([...PRIVATE_CODES, ...EDGES]), body))
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
      return sent(encodeFrame(FRAME_KIND.request, id, code, mutate(random, body)))
    default:
      return sent(encodeFrame(FRAME_KIND.request, id, code, body))
  }
}

describe('frames of every kind on the engine channel', () => {
  it('are answered once each, or end the engine in order', async () => {
    let frames = 0
    const rounds = await fuzz(25, async (random, t) => {
      const stateFd = openSync(temporaryDirectory(t), constants.O_RDONLY | constants.O_DIRECTORY)
      const args = engineArguments({
        ...ENGINE_DEFAULTS,
        sync: false,
        journal: random.chance(0.5),
        allowSetLocality: true,
        trace: random.chance(0.3),
      })
      const spawner = new Spawner({ logFd: undefined, user: undefined, seccomp: 'none' })
      t.after(() => spawner.close())
      const [channelFd, theirs] = check(native.socketPair(), 'make a socket pair')
      const sharedStateFd = check(native.sharedMemory(SHARED_STATE_SIZE_BYTES), 'make memory')
      const { pid, ended } = spawner.spawn(
        args,
        { channel: theirs, state: stateFd, sharedState: sharedStateFd },
        false,
      )
      for (const fd of [theirs, stateFd, sharedStateFd]) closeSync(fd)
      let exit: string | undefined
      void ended.then((how) => {
        exit = how
      })
      const engine = await pid
      t.after(() => exit ?? process.kill(engine, 'SIGKILL'))
      const socket = new DescriptorSocket(channelFd)
      const answers = new Map<number, number>()
      const decoder = new FrameDecoder()
      socket.on('data', (chunk) => {
        for (const { kind, id } of decoder.push(chunk))
          if (kind === FRAME_KIND.reply) answers.set(id, (answers.get(id) ?? 0) + 1)
      })

      const expected: number[] = []
      let broken = false
      let glued: Buffer[] = []
      for (let id = 1; id <= FRAMES_PER_ROUND && !broken; id++) {
        const next = frame(random, id)
        broken = next.broken
        if (next.answered) expected.push(id)
        frames++
        glued.push(next.bytes)
        if (random.chance(0.4)) continue
        const bytes = Buffer.concat(glued)
        glued = []
        const cut = random.chance(0.3) ? random.below(bytes.length + 1) : bytes.length
        if (cut > 0) socket.write(bytes.subarray(0, cut))
        if (cut < bytes.length) {
          await turn()
          socket.write(bytes.subarray(cut))
        }
      }
      if (glued.length > 0) socket.write(Buffer.concat(glued))
      if (!broken) {
        await waitFor(() => answers.size >= expected.length || exit !== undefined, {
          what: 'the answers',
          timeoutMs: HANG_MS,
        })
        for (const id of expected) assert.equal(answers.get(id), 1, `answers to request ${id}`)
        assert.equal(answers.size, expected.length, 'answers in all')
      }
      socket.close()
      assert.equal(await settled('the end of the engine', ended), 'it exited with status 0')
    })
    figure('Fuzzer: engine channel', `${rounds} rounds, ${frames} frames: no crash, no hang, one answer each`)
  })
})
