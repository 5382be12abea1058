/** The language of `--fault`: what a when means, which commands are meant, and what is said of a mistake. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { effectHelp } from '../../../src/responders/rules/effect-help.ts'
import { EFFECTS } from '../../../src/responders/rules/effect-table.ts'
import { parseRule } from '../../../src/responders/rules/rule.ts'
import { RuleError } from '../../../src/responders/rules/rule-error.ts'
import { TPM2, TPM12, tpm2 } from '../../support/tpm-commands.ts'
import { RANDOM, ScriptedTpm, type Sent } from './support.ts'

const CAPABILITY_PCRS = tpm2(0x17a, ['00000005 00000000 00000001'])
const CAPABILITY_HANDLES = tpm2(0x17a, ['00000001 80000000 00000040'])
const FLUSH = TPM2.flushContext(0x80000001)
const HMAC = tpm2(0x17b, ['00000009 02000000 0000 01 0000', 8], true)
const POLICY = tpm2(0x17b, ['00000009 03000001 0000 01 0000', 8], true)
const PASSWORD = TPM2.pcrExtend(16, Buffer.alloc(32))
const CREATE_NULL = tpm2(
  0x131,
  ['40000007', '00000009 40000009 0000 00 0000', 4, '0000 0000', 0, 0, '00000000'],
  true,
)

const matches: [when: string, sent: Sent, meant: boolean][] = [
  ['GetRandom', {}, true],
  ['getrandom', {}, true],
  ['TPM2_GetRandom', {}, true],
  ['0x17b', {}, true],
  ['0x0000017B', {}, true],
  ['*', {}, true],
  ['PCR_Read', {}, false],
  ['PCR_Read|GetRandom', {}, true],
  ['PCR_Read | GetRandom', {}, true],
  ['0x17c', {}, false],
  ['*', { bytes: Buffer.from('80', 'hex') }, true],
  ['GetRandom', { bytes: Buffer.from('80', 'hex') }, false],
  ['*[handle=0x80000001]', { bytes: FLUSH }, false],
  ['*[flushHandle=0x80000001]', { bytes: FLUSH }, true],
  ['*[handle=0x10]', { bytes: PASSWORD }, true],
  ['*[handle=16]', { bytes: PASSWORD }, true],
  ['*[handle=0x00/8]', { bytes: PASSWORD }, true],
  ['*[handle=0x80000000/8]', { bytes: TPM2.readPublic(0x80000002) }, true],
  ['*[handle=0x80000000/8]', { bytes: TPM2.readPublic(0x81000002) }, false],
  ['*[handle=0x02000000/8]', { bytes: HMAC }, true],
  ['*[handle=0x02000000/8]', { bytes: POLICY }, false],
  ['*[handle=0/0]', { bytes: POLICY }, true],
  ['*[locality=3]', { locality: 3 }, true],
  ['*[locality=3]', {}, false],
  ['*[session=none]', {}, true],
  ['*[session=none]', { bytes: HMAC }, false],
  ['*[session=hmac]', { bytes: HMAC }, true],
  ['*[session=policy]', { bytes: POLICY }, true],
  ['*[session=pw]', { bytes: PASSWORD }, true],
  ['*[session=pw]', { bytes: HMAC }, false],
  ['*[size=12]', {}, true],
  ['*[size>12]', {}, false],
  ['*[size>11]', {}, true],
  ['*[size<13]', {}, true],
  ['*[from=client]', {}, true],
  ['*[from=driver]', { from: 'driver' }, true],
  ['*[from=driver]', {}, false],
  // The kernel's own, and no command of TPM 2.0.
  ['SetLocality[from=driver]', { bytes: Buffer.from('80010000000b2000100002', 'hex') }, true],
  ['GetRandom[bytesRequested=8]', {}, true],
  ['GetRandom[bytesrequested=0x8]', {}, true],
  ['GetRandom[bytesRequested=9]', {}, false],
  ['GetCapability[capability=PCRS]', { bytes: CAPABILITY_PCRS }, true],
  ['GetCapability[capability=5]', { bytes: CAPABILITY_PCRS }, true],
  ['GetCapability[capability=PCRS]', { bytes: CAPABILITY_HANDLES }, false],
  ['CreatePrimary[primaryHandle=NULL]', { bytes: CREATE_NULL }, true],
  ['CreatePrimary[primaryHandle=OWNER]', { bytes: CREATE_NULL }, false],
  ['PCR_Extend[digests[0].hashAlg=SHA256]', { bytes: PASSWORD }, true],
  ['*[locality=3,session=none]', { locality: 3 }, true],
  ['*[ locality = 3 , session = pw ]', { locality: 3 }, false],
  ['*[during=1000s]', {}, true],
  ['*[after=1000s]', {}, false],
]

describe('which commands a rule strikes', () => {
  for (const [when, sent, meant] of matches) {
    it(`${when}: ${sent.bytes?.toString('hex') ?? 'GetRandom'} ${meant}`, async () => {
      const tpm = new ScriptedTpm({ rules: [`${when}: rc=RETRY`] })
      assert.equal(await tpm.struckBy(sent), meant)
    })
  }

  it('names are those of the version, and both in one rule', async () => {
    const tpm = new ScriptedTpm({ version: '1.2', rules: ['GetRandom|Extend: rc=FAIL'] })
    assert.equal(await tpm.struckBy({ bytes: TPM12.getRandom() }), true)
    assert.equal(await tpm.struckBy({ bytes: TPM12.extend(0, Buffer.alloc(20)) }), true)
    assert.equal(await tpm.struckBy({ bytes: TPM12.pcrRead(0) }), false)
  })

  const which: [which: string, struck: readonly number[]][] = [
    ['', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['#3', [3]],
    ['#2-4', [2, 3, 4]],
    ['#9-', [9, 10]],
    ['/3', [3, 6, 9]],
    ['/1', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['%0', []],
    ['%100', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  ]
  for (const [text, struck] of which) {
    it(`GetRandom${text}, of ten`, async () =>
      assert.deepEqual(await strikes(`GetRandom${text}`, 0, 10), struck))
  }

  it('are counted among those that match, from when it was added', async () => {
    const tpm = new ScriptedTpm()
    await tpm.send()
    tpm.faults.add('GetRandom#2: rc=RETRY')
    await tpm.send({ bytes: FLUSH })
    assert.equal(await tpm.struckBy(), false)
    assert.equal(await tpm.struckBy(), true)
    assert.equal(await tpm.struckBy(), false)
  })

  it('by chance: the same ones for the same seed, a hundred times over; others for another seed and rule', async () => {
    const first = await strikes('*%10', 7, 200)
    assert.ok(first.length > 8 && first.length < 40, String(first.length))
    for (let run = 0; run < 100; run++) assert.deepEqual(await strikes('*%10', 7, 200), first)
    assert.notDeepEqual(await strikes('*%10', 8, 200), first)
    const two = new ScriptedTpm({ seed: 7, rules: ['*%10: mute', '*%10: mute'] })
    for (let i = 0; i < 200; i++) await two.send()
    const [one, other] = two.faults.list().map(({ struck }) => struck)
    assert.equal(one, first.length)
    assert.notEqual(other, one)
  })

  it('the newest is asked first, and asks those below for a response', async () => {
    const tpm = new ScriptedTpm({ rules: ['*: rc=RETRY', '*: append=1', 'PCR_Read: drop'] })
    assert.equal(await tpm.answer(), 'whole 80010000000a0000092200')
    assert.deepEqual(
      tpm.faults.list().map(({ struck }) => struck),
      [1, 1, 0],
    )
  })
})

/** Which of so many commands are struck, from 1. */
async function strikes(when: string, seed: number, count: number): Promise<number[]> {
  const tpm = new ScriptedTpm({ seed, rules: [`${when}: rc=RETRY`] })
  const struck: number[] = []
  for (let i = 1; i <= count; i++) if (await tpm.struckBy()) struck.push(i)
  return struck
}

const mistakes: [rule: string, column: number, message: RegExp][] = [
  ['', 1, /the name of a command is missing; write GetRandom, 0x17b or \*/],
  [': rc=RETRY', 1, /the name of a command is missing/],
  ['GetRandm: rc=RETRY', 1, /no command "GetRandm"; did you mean GetRandom/],
  ['PCR_Read|GetRandm: rc=RETRY', 10, /no command "GetRandm"/],
  ['a=GetRandm: rc=RETRY', 3, /no command "GetRandm"/],
  ['0x123456789: drop', 1, /no command "0x123456789"/],
  ['GetRandom', 10, /":" and an effect are missing/],
  ['GetRandom rc=RETRY', 1, /no command "GetRandom rc=RETRY"/],
  ['GetRandom:', 11, /an effect is missing; one of delay, stall/],
  ['GetRandom: drop,', 17, /an effect is missing/],
  ['GetRandom: rx=RETRY', 12, /no effect "rx"; did you mean rc\? Effects are delay, stall/],
  ['GetRandom: drop, dorp', 18, /no effect "dorp"; did you mean drop/],
  ['GetRandom: drop=1', 17, /drop takes no value/],
  ['GetRandom: rc', 12, /rc takes a value: rc=CODE/],
  ['GetRandom: rc=', 15, /rc takes a value/],
  ['GetRandom: unplug=', 19, /unplug takes a value: unplug=TIME/],
  ['GetRandom: rc=RETRI', 15, /no response code "RETRI"; did you mean RETRY/],
  ['GetRandom: rc=RETRY@p1', 15, /RETRY cannot be about "p1"; write @p1 to @p15/],
  ['GetRandom: rc=HASH@x1', 15, /HASH cannot be about "x1"/],
  ['GetRandom: delay=9', 18, /"9" is no time; write 900ms, 2s or 50us/],
  ['GetRandom: delay=1s..2s..3s', 18, /write 900ms, or 0ms\.\.300ms/],
  ['GetRandom: late=-1s', 17, /"-1s" is no time/],
  ['GetRandom: delay=9999999999s', 18, /is no time/],
  ['GetRandom: respond=8', 20, /"8" is not pairs of hexadecimal digits/],
  ['GetRandom: truncate=x', 21, /"x" is no whole number/],
  ['GetRandom: shorten=65537', 20, /65537 is more than 65536/],
  ['GetRandom: append=0x1', 19, /not pairs of hexadecimal digits/],
  ['GetRandom: size=x', 17, /"x" is no size/],
  ['GetRandom: tag=123456', 16, /a tag has two bytes/],
  ['GetRandom: tag=12345678901234', 16, /a tag has two bytes/],
  ['GetRandom: flip=1.8', 17, /write 12, 12\.7 or random/],
  ['GetRandom: set=data.count', 16, /write PATH:VALUE/],
  ['GetRandom: pieces=0', 19, /write 8, or 8@20ms/],
  ['GetRandom: pieces=8@9', 19, /"9" is no time/],
  ['GetRandom: errno=EFOO', 18, /there is no errno "EFOO"/],
  ['GetRandom: forget=all', 19, /write sessions, objects, savestate or nv:0x1500001/],
  ['GetRandom#0: drop', 11, /"0" is no number from 1/],
  ['GetRandom#: drop', 11, /neither a number/],
  ['GetRandom#3-2: drop', 11, /"3-2" ends before it begins/],
  ['GetRandom#a: drop', 11, /"a" is neither a number \(#3\)/],
  ['GetRandom/0: drop', 11, /"0" is no number from 1/],
  ['GetRandom%101: drop', 11, /"101" is no percentage from 0 to 100/],
  ['GetRandom[]: drop', 11, /is followed by no value; write NAME=VALUE/],
  ['GetRandom[locality]: drop', 11, /"locality" is followed by no value; write locality=VALUE/],
  ['GetRandom[locality=]: drop', 20, /"locality" has no value/],
  ['GetRandom[locality=x]: drop', 20, /"x" is no whole number/],
  ['GetRandom[locality=1: drop', 27, /"]" is missing/],
  ['GetRandom[locality>1]: drop', 19, /only size can be compared by >/],
  ['GetRandom[session=x]: drop', 19, /"x" is not one of none, pw, hmac, policy/],
  ['GetRandom[from=me]: drop', 16, /"me" is not one of driver, client/],
  ['GetRandom[handle=x]: drop', 18, /"x" is neither a handle \(0x81000001\) nor its first bits/],
  ['GetRandom[handle=0x1/33]: drop', 18, /is neither a handle/],
  ['GetRandom[after=1]: drop', 17, /"1" is no time/],
  ['GetRandom[during=x]: drop', 18, /"x" is no time/],
  ['GetRandom[size=x]: drop', 16, /"x" is no whole number/],
  [
    'GetCapability[capabilty=PCRS]: drop',
    15,
    /GetCapability has no "capabilty"; did you mean capability\? Filters are handle, .*propertyCount/,
  ],
  ['GetRandom: drop\nPCR_Read: drop', 1, /a rule is one line/],
  [`GetRandom: respond=${'00'.repeat(10_001)}`, 1, /it is longer than 20000 characters/],
]

describe('a mistake in a rule', () => {
  for (const [rule, column, message] of mistakes) {
    it(JSON.stringify(rule.slice(0, 60)), () => {
      const parse = (): unknown => parseRule(rule, Math.random)
      assert.throws(parse, (error: unknown) => {
        assert.ok(error instanceof RuleError)
        assert.match(error.message, message)
        assert.equal(error.column, column)
        return true
      })
    })
  }

  it('is marked', () => {
    assert.throws(() => parseRule('GetRandom: drop, dorp', Math.random), {
      message: /^column 18: no effect "dorp".*\n {2}GetRandom: drop, dorp\n {19}\^{4}$/,
    })
  })
})

it('a label is no command, and a filter is no label', () => {
  assert.equal(parseRule('a=GetRandom: drop', Math.random).label, 'a')
  assert.equal(parseRule('a-1 = *[locality=3]: rc=RETRY', Math.random).label, 'a-1')
  assert.equal(parseRule('GetRandom[locality=3]: rc=RETRY', Math.random).label, undefined)
  assert.equal(parseRule('GetRandom: rc=RETRY', Math.random).label, undefined)
})

it('help has every effect, and its examples are rules', () => {
  const help = effectHelp()
  for (const name of Object.keys(EFFECTS)) assert.match(help, new RegExp(`\\n {4}${name}\\b`))
  const examples = help.slice(help.indexOf('Examples:')).split('\n').slice(1)
  const rules = examples.map((line) => line.trim().split(/ {3,}/)[0] ?? '').filter((rule) => rule !== '')
  assert.ok(rules.length > 4)
  for (const rule of rules) parseRule(rule, Math.random)
})

it('there are so many faults and no more, and none has the number of another', async () => {
  const tpm = new ScriptedTpm()
  for (let i = 1; i <= 1000; i++) assert.equal(tpm.faults.add('PCR_Read: drop').number, i)
  assert.throws(() => tpm.faults.add('*: drop'), /there are 1000 faults already/)
  tpm.faults.clear()
  assert.equal(tpm.faults.add('a=*: drop').number, 1001)
  assert.equal(tpm.faults.find('a')?.number, 1001)
  assert.equal(tpm.faults.find(1), undefined)
  assert.ok(RANDOM)
})
