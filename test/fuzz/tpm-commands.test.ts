/**
 * TPM commands, right and wrong, in sequences with state between them: handles, sessions and saved contexts of earlier
 * answers come back in later commands. The engine always answers, well formed and in time, and never dies.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPrimaryEcc, NV, startEngineTpm } from '../hard/support/engine-tpm.ts'
import { figure } from '../hard/support/scale.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { hex32, responseCode, TPM2, TPM12, tpm2, tpm12 } from '../support/tpm-commands.ts'
import { EDGES, mutate, type Random } from './random.ts'
import { fuzz, settled } from './rounds.ts'

const PASSWORD = '00000009 40000009 0000 00 0000'
const OWNER = '40000001'
const COMMANDS_PER_ROUND = 500
/** A TPM 1.2 takes a second to be made. */
const SHORT_ROUNDS = { '2': 4, '1.2': 1 }
const FIRST_HANDLES = [
  ...[0x40000001, 0x40000007, 0x40000009, 0x4000000a, 0x4000000b, 0x4000000c, 0x80000000, 0x01500001],
]
const TPM_RC_BAD_TAG = 0x1e
const TPM_RC_VALUE = 0x84
const TPM_RC_COMMAND_SIZE = 0x142
const TPM_RC_FAILURE = 0x101

interface Pool {
  /** Handles that the TPM has given out, and some that it has not. */
  readonly handles: number[]
  /** Contexts that it has saved, as they go into ContextLoad. */
  readonly contexts: Buffer[]
  /** Everything that was ever sent. */
  readonly sent: Buffer[]
}

/** A sensible TPM 2.0 command about what there is. */
function command2(random: Random, { handles, contexts }: Pool): Buffer {
  const handle = hex32(random.pick(handles))
  const other = hex32(random.pick(handles))
  const index = 0x01500000 + random.below(4)
  const size = random.pick([1, 8, 32, 64, 512, 2048])
  const attributes = random.pick(['00040004', '02040004', '06040004', '00040014', '00040044', '02040024'])
  const hash = random.pick(['0004', '000b', '000c', '000d', '0010'])
  const text = random.bytes(random.below(80))
  const makers: (() => Buffer)[] = [
    () => TPM2.getRandom(random.pick([0, 1, 8, 48, 64, 65535])),
    () => tpm2(0x17a, [hex32(random.below(12)), hex32(random.word()), hex32(random.pick(EDGES))]),
    () => tpm2(0x143, [random.pick(['00', '01'])]),
    () => tpm2(0x145, [random.below(2)]),
    () => tpm2(0x144, [random.below(2)]),
    () => TPM2.pcrRead(random.below(24)),
    () => TPM2.pcrExtend(random.below(24), random.bytes(32)),
    () => tpm2(0x13d, [hex32(random.below(24)), PASSWORD], true),
    () => tpm2(0x12a, [OWNER, PASSWORD, 0, 14, hex32(index), hash, attributes, 0, size], true),
    () => tpm2(0x122, [OWNER, hex32(index), PASSWORD], true),
    () => tpm2(0x137, [hex32(index), hex32(index), PASSWORD, text.length, text, random.below(64)], true),
    () => tpm2(0x14e, [hex32(index), hex32(index), PASSWORD, size, random.below(64)], true),
    () => tpm2(0x134, [hex32(index), hex32(index), PASSWORD], true),
    () => tpm2(0x136, [hex32(index), hex32(index), PASSWORD, text.length, text], true),
    () => tpm2(0x135, [hex32(index), hex32(index), PASSWORD, hex32(0), hex32(random.word())], true),
    () => tpm2(0x138, [hex32(index), hex32(index), PASSWORD], true),
    () => tpm2(0x14f, [hex32(index), hex32(index), PASSWORD], true),
    () => tpm2(0x13b, [hex32(index), PASSWORD, text.length, text], true),
    () => tpm2(0x169, [hex32(index)]),
    () => createPrimaryEcc,
    () => tpm2(0x173, [handle]),
    () => tpm2(0x165, [handle]),
    () => tpm2(0x162, [handle]),
    () => tpm2(0x161, [contexts.length === 0 ? random.bytes(64) : random.pick(contexts)]),
    () => tpm2(0x120, [OWNER, handle, PASSWORD, hex32(0x81000000 + random.below(4))], true),
    () =>
      tpm2(0x176, [handle, other, 16, random.bytes(16), 0, random.pick(['00', '01', '03']), '0010', hash]),
    // Policies: PCR, AuthValue, Password, CommandCode, GetDigest, Restart, OR, Secret, NV
    () => tpm2(0x17f, [handle, 0, '00000001 000b 03 010000']),
    () => tpm2(random.pick([0x16b, 0x18c, 0x189, 0x180]), [handle]),
    () => tpm2(0x16c, [handle, hex32(random.pick([0x137, 0x14e, 0x17b]))]),
    () => tpm2(0x171, [handle, '00000002', 32, random.bytes(32), 32, random.bytes(32)]),
    () => tpm2(0x151, [OWNER, handle, PASSWORD, 0, 0, 0, hex32(0)], true),
    // A key, sealed data and what belongs to them
    () => tpm2(0x153, [handle, PASSWORD, 4 + text.length, 0, text.length, text, ...SEALED], true),
    () => tpm2(0x157, [handle, PASSWORD, text.length, text, text.length, text], true),
    () => tpm2(0x15e, [handle, PASSWORD], true),
    () => tpm2(0x15d, [handle, PASSWORD, 32, random.bytes(32), '0010', '8024', '40000007', 0], true),
    () => tpm2(0x167, [0, text.length, text]),
    // Hashing
    () => tpm2(0x17d, [text.length, text, hash, OWNER]),
    () => tpm2(0x186, [0, hash]),
    () => tpm2(0x15c, [handle, PASSWORD, text.length, text], true),
    () => tpm2(0x13e, [handle, PASSWORD, text.length, text, OWNER], true),
    () => tpm2(0x15b, [handle, PASSWORD, 0, hash], true),
    // Hierarchies, dictionary attacks, clock
    () => tpm2(0x129, [random.pick([OWNER, '4000000b']), PASSWORD, random.below(3), Buffer.alloc(2)], true),
    () => tpm2(0x12e, ['4000000c', PASSWORD, OWNER, random.pick(['00', '01'])], true),
    () => tpm2(0x126, ['4000000a', PASSWORD], true),
    () => tpm2(0x139, ['4000000a', PASSWORD], true),
    () => tpm2(0x13a, ['4000000a', PASSWORD, hex32(32), hex32(10), hex32(10)], true),
    () => tpm2(0x181),
    () => tpm2(0x128, [OWNER, PASSWORD, '00000000', hex32(random.word())], true),
    () => tpm2(0x130, [OWNER, PASSWORD, hex32(random.below(3))], true),
    () => tpm2(0x178, ['0003']),
    () => tpm2(0x18a, ['0001 0010 0010 0800 00000000']),
    () => tpm2(0x18e, ['0003']),
    () => tpm2(0x17c),
    () => tpm2(0x12b, ['4000000c', PASSWORD, '00000001 000b 03 ffffff'], true),
    () =>
      tpm2(
        random.pick([0x11f, 0x121, 0x123, 0x124, 0x125, 0x127, 0x12d, 0x132, 0x140]),
        [handle, PASSWORD],
        true,
      ),
  ]
  return random.pick(makers)()
}

/** TPM2B_PUBLIC of a sealed object, no outside data, no PCRs. */
const SEALED = [14, '0008 000b 00000052 0000 0010 0000', 0, '00000000']

/** A sensible TPM 1.2 command. */
function command12(random: Random, { handles }: Pool): Buffer {
  const handle = hex32(random.pick(handles))
  const text = random.bytes(random.below(60)).toString('hex')
  return random.pick([
    () => TPM12.getRandom(random.pick([0, 1, 20, 4096])),
    () => TPM12.pcrRead(random.below(24)),
    () => TPM12.extend(random.below(24), random.bytes(20)),
    () => tpm12(0x65, `${hex32(random.below(0x20))} 00000004 ${hex32(random.pick(EDGES))}`),
    () =>
      tpm12(
        random.pick([0x50, 0x53, 0x54, 0x98, 0x9a, 0x7c, 0x5d, 0xf1, 0xa]),
        random.chance(0.5) ? text : '',
      ),
    () => tpm12(0x99, random.pick(['0001', '0002', '0003'])),
    () => NV['1.2'].define,
    () => NV['1.2'].write(random.below(1000)),
    () => NV['1.2'].read,
    () => tpm12(0xba, `${handle} ${hex32(random.below(6))}`),
    () => tpm12(0xb, `0001 ${handle} ${random.bytes(20).toString('hex')}`),
    () => tpm12(0x4000000a, random.pick(['0008', '0020', '0010', '0100', '0004'])),
    () => tpm12(0xa0, ''),
    () => tpm12(0xa1, hex32(random.below(4096)) + text),
    () => tpm12(random.below(0x100), text),
    () => tpm12(0xb4, `${handle} ${hex32(random.below(8))} ${random.bytes(16).toString('hex')}`),
  ])()
}

/** Puts handles of the pool, and numbers at the edge, into a command that was right. */
function disturb(random: Random, command: Buffer, { handles }: Pool): Buffer {
  const result = Buffer.from(command)
  if (random.chance(0.5) && result.length >= 14) {
    const at = 10 + 4 * random.below(Math.min(3, Math.floor((result.length - 10) / 4)))
    result.writeUInt32BE(random.chance(0.7) ? random.pick(handles) : random.pick(EDGES), at)
    return result
  }
  const changed = mutate(random, result)
  // A wrong size field is found first; mostly, what comes behind is to be tested.
  if (changed.length >= 6 && random.chance(0.9)) changed.writeUInt32BE(changed.length, 2)
  return changed.subarray(0, 4096)
}

function learn(pool: Pool, command: Buffer, response: Buffer): void {
  if (response.readUInt32BE(6) !== 0) return
  const code = command.length >= 10 ? command.readUInt32BE(6) : 0
  if (response.length >= 14) {
    pool.handles.push(response.readUInt32BE(10))
    if (pool.handles.length > 40) pool.handles.splice(20, 1)
  }
  if (code === 0x162) {
    pool.contexts.push(response.subarray(10))
    if (pool.contexts.length > 10) pool.contexts.shift()
  }
}

/**
 * libtpms 0.9.2 adds offset and length of a TPM 1.2's NV_WriteValue(Auth) and NV_ReadValue(Auth) in 32 bits, and reads or
 * writes 4 GiB beyond the index when the sum overflows: the process dies, with the reference's swtpm as with ours.
 */
function killsLibtpms(version: '1.2' | '2', command: Buffer): boolean {
  if (version === '2' || command.length < 22 || ![0xcd, 0xce, 0xcf, 0xd0].includes(command.readUInt32BE(6)))
    return false
  return command.readUInt32BE(14) + command.readUInt32BE(18) > 0xffffffff
}

/** What the header alone decides; undefined where the rest has a say. As the reference answers. */
function headerError(command: Buffer): readonly number[] | undefined {
  if (command.length < 10) return undefined
  const tagged = [0x8001, 0x8002].includes(command.readUInt16BE())
  const sized = command.readUInt32BE(2) === command.length
  if (tagged && sized) return undefined
  return [...(tagged ? [] : [TPM_RC_VALUE, TPM_RC_BAD_TAG]), ...(sized ? [] : [TPM_RC_COMMAND_SIZE])]
}

describe('TPM commands of every kind', () => {
  for (const version of ['2', '1.2'] as const) {
    it(`TPM ${version}`, async () => {
      let commands = 0
      let successes = 0
      let failureModes = 0
      const rounds = await fuzz(SHORT_ROUNDS[version], async (random, t) => {
        const path = temporaryDirectory(t)
        let engine = await startEngineTpm({ tpmVersion: version, path, sync: false })
        // Asked anew: there may be another one by then.
        t.after(() => engine.close())
        const powerOn = async (): Promise<void> => {
          const { tpmResult } = await settled('INIT', engine.verb('INIT', { initFlags: 0 }))
          assert.equal(tpmResult, 0, 'the TPM must start with what it has stored')
          await settled('Startup', engine.process(Buffer.from(NV[version].startup)))
        }
        await powerOn()
        const pool: Pool = { handles: [...FIRST_HANDLES], contexts: [], sent: [NV[version].startup] }
        for (let i = 0; i < COMMANDS_PER_ROUND; i++) {
          let command = version === '2' ? command2(random, pool) : command12(random, pool)
          if (random.chance(0.1)) command = random.pick(pool.sent)
          if (random.chance(0.45)) command = disturb(random, command, pool)
          if (killsLibtpms(version, command)) continue
          pool.sent.push(command)
          const what = `command ${i}, ${command.toString('hex')}`
          const { tpmResult, response } = await settled(what, engine.process(Buffer.from(command))).catch(
            (error: Error) => {
              throw new Error(`${what}: ${error.message}`)
            },
          )
          commands++
          assert.equal(tpmResult, 0, what)
          assert.ok(response.length >= 10 && response.readUInt32BE(2) === response.length, what)
          assert.ok([0x8001, 0x8002, 0xc4, 0xc5, 0xc6].includes(response.readUInt16BE(0)), what)
          const code = responseCode(response)
          if (code === 0) successes++
          learn(pool, command, response)
          if (version === '2' && code === TPM_RC_FAILURE) {
            failureModes++
            await powerOn()
          } else if (version === '2') {
            const possible = headerError(command)
            assert.ok(possible === undefined || possible.includes(code), `0x${code.toString(16)} to ${what}`)
          }
          // What is stored must load, in this process and in a new one.
          if (random.chance(0.02)) {
            if (random.chance(0.5)) {
              await settled('the end of the engine', engine.close())
              engine = await startEngineTpm({ tpmVersion: version, path, sync: false })
            }
            await powerOn()
          }
        }
      })
      figure(
        `Fuzzer: TPM ${version} commands`,
        `${rounds} rounds, ${commands} commands (${successes} successful): no crash, no hang` +
          (failureModes > 0 ? `; libtpms refused to go on ${failureModes} times` : ''),
      )
    })
  }
})
