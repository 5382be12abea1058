/**
 * Rules of `--fault` put together at random, and damaged: each is taken, or refused with a place that is in it and a reason. What was
 * taken strikes commands of any kind, and each command has one end.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '../../src/responders/random.ts'
import { EFFECTS } from '../../src/responders/rules/effect-table.ts'
import { parseEffects, parseRule } from '../../src/responders/rules/rule.ts'
import { RuleError } from '../../src/responders/rules/rule-error.ts'
import { commandsOf } from '../../src/tpm-structures/commands.ts'
import { anyMessage } from '../support/any-message.ts'
import { RANDOM, ScriptedTpm } from '../unit/responders/support.ts'
import { mutate, type Random } from './random.ts'
import { fuzz, settled } from './rounds.ts'

const RULES_PER_ROUND = 400
const STRIKES_PER_ROUND = 60
const COMMANDS = [...commandsOf('2'), ...commandsOf('1.2')]

const NUMBERS = ['0', '1', '10', '0x10', '-1', '4294967296', '1e9', '007', '9'.repeat(30), 'NaN', '']
const TIMES = ['0ms', '1us', '1ms..0ms', '2ms..3ms', '1', '1h', '0.5ms', '99999999999s', '-1ms', '..', 'ms']
const VALUES = [
  ...[...NUMBERS, ...TIMES, 'RETRY', 'HASH@p1', 'HASH@', 'HASH@p99', '0xffffffff', '0x100000000', 'random'],
  ...['8001', '800', 'zz', 'randomBytes.size:+1', 'randomBytes.size:', ':', 'a.b[0].c:1', 'a[999999999]:1'],
  ...[
    '3@1ms',
    '0@0ms',
    '1.7',
    '1.8',
    'EIO',
    'ENOTHING',
    'sessions',
    'nv:0x1500001',
    'nv:',
    '+1',
    '-99999',
    '__proto__',
  ],
]
const FILTERS = [
  ...[
    'locality=0',
    'locality=9',
    'session=none',
    'session=x',
    'size>1',
    'size<0',
    'size=1',
    'from=driver',
    'from=',
  ],
  ...[
    'handle=0x81000001',
    'handle=0x02000000/8',
    'handle=PCR0/99',
    'after=1ms',
    'during=0ms',
    'capability=PCRS',
  ],
  ...['bytesRequested=8', 'digests[0].hashAlg=SHA256', 'nothing=1', '', '=', 'constructor=1', 'size'],
]
const WHICH = ['', '#1', '#1-2', '#2-', '#0', '#2-1', '/3', '/0', '%5', '%101', '%x', '#', '##1', '#1-2-3']
const NAMES = [
  '*',
  'GetRandom',
  'tpm2_getrandom',
  '0x17b',
  '0xfffffffff',
  'GetRandum',
  'PCR_Read|Unseal',
  '|',
  '',
]

const effectOf = (random: Random): string => {
  const name = random.chance(0.95)
    ? random.pick(Object.keys(EFFECTS))
    : random.pick(['rcc', '', 'toString', 'RC'])
  return random.chance(0.6) ? `${name}=${random.pick(VALUES)}` : name
}
const effectsOf = (random: Random): string =>
  Array.from({ length: 1 + random.below(3) }, () => effectOf(random)).join(random.pick([',', ', ', ' ,']))

function ruleOf(random: Random): string {
  const label = random.chance(0.1) ? random.pick(['a=', 'a b=', '1=', 'a-b_c =', '=']) : ''
  const name = random.chance(0.3) ? random.pick(COMMANDS).name : random.pick(NAMES)
  const filters = Array.from({ length: random.below(3) }, () => random.pick(FILTERS)).join(',')
  const when = `${label}${name}${filters === '' ? '' : `[${filters}]`}${random.pick(WHICH)}`
  const rule = `${when}${random.pick([': ', ':', ' : ', '', '::'])}${effectsOf(random)}`
  return random.chance(0.3) ? mutate(random, Buffer.from(rule, 'latin1')).toString('latin1') : rule
}

/** @returns whether it was taken @throws what is no explanation */
function explained(text: string, parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch (error) {
    assert.ok(error instanceof RuleError, `${JSON.stringify(text)}: ${(error as Error).stack}`)
    const { column, message } = error
    assert.ok(column >= 1 && column <= text.length + 1, `${JSON.stringify(text)}: column ${column}`)
    assert.match(message, /^column \d+: .{5}/, JSON.stringify(text))
    return false
  }
}

describe('rules of anything', () => {
  it('are taken, or refused with the place and the reason', async () => {
    let taken = 0
    await fuzz(20, (random) => {
      for (let count = 0; count < RULES_PER_ROUND; count++) {
        const rule = ruleOf(random)
        if (explained(rule, () => parseRule(rule, seededRandom(0, 0)))) taken++
        const effects = effectsOf(random)
        explained(effects, () => parseEffects(effects, seededRandom(0, 0)))
      }
    })
    assert.ok(taken > 0, 'none was taken')
  })

  it('strike commands of anything, each of which has one end', async () => {
    await fuzz(20, async (random) => {
      const tpm = new ScriptedTpm({ version: random.chance(0.7) ? '2' : '1.2', seed: random.word() })
      for (let count = 0; count < 1 + random.below(4); ) {
        const rule = ruleOf(random)
        // These wait as long as they are told to.
        if (/stall|late|delay|pieces|unplug/.test(rule)) continue
        try {
          tpm.faults.add(rule)
          count++
        } catch (error) {
          assert.ok(error instanceof RuleError)
        }
      }
      for (let count = 0; count < STRIKES_PER_ROUND; count++) {
        const { command } = anyMessage(random, random.pick(COMMANDS))
        const bytes = random.chance(0.3)
          ? RANDOM
          : random.chance(0.3)
            ? mutate(random, command.bytes)
            : command.bytes
        const response = await settled('a command', tpm.send({ bytes, locality: random.below(5) }))
        assert.ok(response === 'pass' || Buffer.isBuffer(response.bytes))
      }
    })
  })
})
