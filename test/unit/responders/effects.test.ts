/** What each effect makes of a command, and of the answer to it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EFFECTS } from '../../../src/responders/rules/effect-table.ts'
import { ANSWER, RANDOM, ScriptedTpm } from './support.ts'

const whole = ANSWER.toString('hex')
const header = whole.slice(0, 20)
const sized = (hex: string): string => `8001${(hex.length / 2).toString(16).padStart(8, '0')}${hex.slice(12)}`

/** Whether the TPM has executed the command. */
const ONCE = [RANDOM.toString('hex')]
const NOT: string[] = []

const effects: [effects: string, answer: string, executed: readonly string[]][] = [
  ['delay=1ms', `whole ${whole}`, ONCE],
  ['delay=10us', `whole ${whole}`, ONCE],
  ['delay=0ms..3ms', `whole ${whole}`, ONCE],
  ['late=1ms', `whole ${whole}`, ONCE],
  ['rc=RETRY', 'whole 80010000000a00000922', NOT],
  ['rc=TPM_RC_RETRY', 'whole 80010000000a00000922', NOT],
  ['rc=0x101', 'whole 80010000000a00000101', NOT],
  ['rc=HASH@p1', 'whole 80010000000a000001c3', NOT],
  ['rc=HANDLE@h2', 'whole 80010000000a0000028b', NOT],
  ['rc=AUTH_FAIL@s1', 'whole 80010000000a0000098e', NOT],
  ['respond=8001', 'whole 8001', NOT],
  ['previous', 'whole', NOT],
  ['truncate=12', `whole ${whole.slice(0, 24)}`, ONCE],
  ['truncate=0', 'whole', ONCE],
  ['truncate=100', `whole ${whole}`, ONCE],
  ['shorten=12', `whole ${sized(whole.slice(0, 24))}`, ONCE],
  ['append=2', `whole ${whole}0000`, ONCE],
  ['append=0x0102', `whole ${whole}0102`, ONCE],
  ['size=0', `whole 800100000000${whole.slice(12)}`, ONCE],
  ['size=+1', `whole 800100000015${whole.slice(12)}`, ONCE],
  ['size=-1', `whole 800100000013${whole.slice(12)}`, ONCE],
  ['size=4294967295', `whole 8001ffffffff${whole.slice(12)}`, ONCE],
  ['tag=00c4', `whole 00c4${whole.slice(4)}`, ONCE],
  ['tag=0x8002', `whole 8002${whole.slice(4)}`, ONCE],
  ['flip=9', `whole ${header.slice(0, 18)}01${whole.slice(20)}`, ONCE],
  ['flip=0.7', `whole 00${whole.slice(2)}`, ONCE],
  ['set=randomBytes.size:64', `whole ${header}0040${whole.slice(24)}`, ONCE],
  ['set=randomBytes.size:+1', `whole ${header}0009${whole.slice(24)}`, ONCE],
  ['set=command.bytesRequested:2', `whole ${whole}`, ['80010000000c0000017b0002']],
  ['drop', 'silence', NOT],
  ['mute', `silence ${whole}`, ONCE],
  ['double', `twice ${whole}`, ONCE],
  ['hangup', 'hangUp', NOT],
  ['unplug', 'silence', NOT],
  ['unplug=2s', 'silence', NOT],
  ['pieces=8', `pieces 8 0 ${whole}`, ONCE],
  ['pieces=1@20ms', `pieces 1 20 ${whole}`, ONCE],
  ['errno=EIO', 'errno 5', NOT],
  ['crash', 'silence', NOT],
  ['powercut', 'silence', NOT],
  ['reset', `whole ${whole}`, ONCE],
  ['forget=sessions', `whole ${whole}`, ONCE],
  ['forget=objects', `whole ${whole}`, ONCE],
  ['forget=savestate', `whole ${whole}`, ONCE],
  ['forget=nv:0x1500001', `whole ${whole}`, ONCE],
  // Several, from left to right.
  ['shorten=12,append=1', `whole ${sized(whole.slice(0, 24))}00`, ONCE],
  ['append=1,shorten=12', `whole ${sized(whole.slice(0, 24))}`, ONCE],
  ['rc=RETRY,append=1', 'whole 80010000000a0000092200', NOT],
  ['mute,rc=RETRY', 'whole 80010000000a00000922', ONCE],
  ['truncate=4,crash', 'whole 80010000', ONCE],
  ['shorten=12,powercut', 'silence', ONCE],
  [
    'set=command.bytesRequested:2,shorten=12',
    `whole ${sized(whole.slice(0, 24))}`,
    ['80010000000c0000017b0002'],
  ],
]

describe('effects', () => {
  for (const [text, answer, executed] of effects) {
    it(text, async () => {
      const tpm = new ScriptedTpm({ rules: [`GetRandom: ${text}`] })
      assert.equal(await tpm.answer(), answer)
      assert.deepEqual(tpm.executed, executed)
    })
  }

  it('each is tried here, but stall, which has no end', () => {
    const tried = new Set(effects.flatMap(([text]) => text.split(',').map((effect) => effect.split('=')[0])))
    assert.deepEqual(
      Object.keys(EFFECTS).filter((name) => !tried.has(name)),
      ['stall'],
    )
  })

  it('what they do to the TPM itself', async () => {
    for (const [text, done] of [
      ['crash', ['crash']],
      ['powercut', ['reset']],
      ['reset', ['reset']],
      ['forget=nv:22020097', ['forget {"what":"nv","index":22020097}']],
      ['unplug', ['unplug undefined']],
      ['unplug=1s', ['unplug 1000']],
    ] as const) {
      const tpm = new ScriptedTpm({ rules: [`*: ${text}`] })
      await tpm.answer()
      await new Promise(setImmediate)
      assert.deepEqual(tpm.done, done, text)
    }
  })

  it('flip=random flips one bit behind the header, the same ones for the same seed', async () => {
    const flipped = async (seed: number): Promise<string[]> => {
      const tpm = new ScriptedTpm({ seed, rules: ['*: flip=random'] })
      return [await tpm.answer(), await tpm.answer(), await tpm.answer()]
    }
    const answers = await flipped(1)
    for (const answer of answers) {
      const bytes = Buffer.from(answer.slice(6), 'hex')
      assert.equal(bytes.toString('hex', 0, 10), header)
      const bits = [...bytes].reduce((sum, byte, at) => sum + ones(byte ^ (ANSWER[at] as number)), 0)
      assert.equal(bits, 1)
    }
    assert.deepEqual(await flipped(1), answers)
    assert.notDeepEqual(await flipped(2), answers)
  })

  it('previous is what the command before was given, whoever has decided that', async () => {
    const tpm = new ScriptedTpm({
      rules: ['GetRandom#2: previous', 'GetRandom#3: shorten=12', 'GetRandom#4: previous'],
    })
    const pcr = { bytes: Buffer.from('80010000000a0000017e', 'hex') }
    assert.equal(await tpm.answer(pcr), `whole ${whole}`)
    assert.equal(await tpm.answer(), `whole ${whole}`)
    assert.equal(await tpm.answer(), `whole ${whole}`)
    const shortened = await tpm.answer()
    assert.equal(await tpm.answer(), shortened)
    assert.equal(tpm.executed.length, 3)
  })

  it('a response code is looked up in the version of the TPM', async () => {
    const tpm = new ScriptedTpm({ version: '1.2', rules: ['*#1: rc=RETRY', '*#2: rc=DEACTIVATED'] })
    assert.equal(await tpm.answer(), 'whole 00c40000000a00000800')
    assert.equal(await tpm.answer(), 'whole 00c40000000a00000006')
  })

  it('a field that is not there is answered FAILURE', async () => {
    const tpm = new ScriptedTpm({ rules: ['*: set=data.count:64'] })
    assert.equal(await tpm.answer(), 'whole 80010000000a00000101')
  })
})

const ones = (byte: number): number => byte.toString(2).replaceAll('0', '').length

describe('an effect that waits', () => {
  for (const text of ['stall', 'delay=1000s', 'late=1000s']) {
    it(`${text}: until nobody waits, the command is cancelled, or it is removed`, async () => {
      const tpm = new ScriptedTpm({ rules: [`*: ${text}`] })
      const gone = new AbortController()
      const first = tpm.answer({ signal: gone.signal })
      gone.abort('the client has gone')
      assert.equal(await first, 'silence')
      const cancelled = new AbortController()
      const second = tpm.answer({ signal: cancelled.signal })
      cancelled.abort('cancelled')
      // What has been executed has happened.
      assert.equal(await second, text.startsWith('late') ? `whole ${whole}` : 'whole 80010000000a00000909')
      const third = tpm.answer()
      await tpm.faults
        .find(1)
        ?.next(AbortSignal.abort())
        .catch(() => {})
      tpm.faults.clear()
      assert.equal(await third, `whole ${whole}`)
      assert.equal(await tpm.answer(), 'pass')
    })
  }
})
