/** What the kernel's driver makes of a TPM that answers oddly while it is registered: which devices there are, and what the log says. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { createTpm, type Tpm, vtpmProxy } from '../../src/library/index.ts'
import { banksOf, GET_RANDOM, LogMark } from '../support/driver-bench.ts'
import { hex32 } from '../support/tpm-commands.ts'

/** What the kernel has made: `/dev/tpmN` alone, or with a resource manager and the PCRs of these banks. */
type Made = 'nothing' | 'a device alone' | readonly string[]

/** One TPM, registered again and again. */
async function register(tpm: Tpm, rule?: string) {
  const log = new LogMark()
  using fault = rule === undefined ? undefined : tpm.fault(rule)
  try {
    await using device = await tpm.expose(vtpmProxy())
    const attempts = fault?.struck
    const made: Made = existsSync(device.resourceManager ?? '') ? banksOf(device) : 'a device alone'
    const works = fault === undefined && (await device.exchange(GET_RANDOM)).text === 'SUCCESS'
    return { made, attempts, works, log: log.lines() }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'SWTPM_ERR_DEVICE') throw error
    const made: Made = 'nothing'
    return { made, attempts: fault?.struck, works: false, log: log.lines() }
  }
}

interface Case {
  /** In place of the rule, where that is no pleasure to read. */
  readonly title?: string
  readonly rule: string
  readonly made: Made
  readonly attempts: number
  /** A line of the kernel's log; without it there is none of a TPM. */
  readonly says?: RegExp
}

function check(tpm: () => Tpm, { rule, title = rule, made, attempts, says }: Case): void {
  it(title, async () => {
    const seen = await register(tpm(), rule)
    assert.deepEqual([seen.made, seen.attempts], [made, attempts], seen.log.join('\n'))
    if (says === undefined) assert.deepEqual(seen.log, [])
    else assert.match(seen.log.join('\n'), says)
  })
}

const ALL_BANKS = ['pcr-sha1', 'pcr-sha256', 'pcr-sha384', 'pcr-sha512']
const UPGRADE_MODE = /TPM in field upgrade mode, requires firmware upgrade/
const FAILURE_MODE = /TPM in field failure mode, requires firmware upgrade/

/** The rule for a TPM that has these banks. */
function withBanks(...algorithms: readonly string[]): string {
  const selections = algorithms.map((algorithm) => `${algorithm}03ffffff`).join('')
  const body = `0000000005${hex32(algorithms.length)}${selections}`
  return `GetCapability[capability=PCRS]: respond=8001${hex32(10 + body.length / 2)}00000000${body}`
}

const CASES: readonly Case[] = [
  { rule: 'SelfTest: rc=UPGRADE', made: 'a device alone', attempts: 2, says: UPGRADE_MODE },
  {
    rule: 'SelfTest|Startup|GetCapability|GetRandom: rc=UPGRADE',
    ...{ made: 'a device alone', attempts: 2, says: UPGRADE_MODE },
  },
  {
    rule: 'SelfTest: rc=FAILURE',
    ...{ made: 'nothing', attempts: 2, says: /A TPM error \(257\) occurred attempting the self test/ },
  },
  { rule: 'SelfTest: rc=TESTING', made: ALL_BANKS, attempts: 1 },
  { rule: 'SelfTest: hangup', made: 'nothing', attempts: 1, says: /Operation Canceled/ },
  {
    rule: 'SetLocality: rc=FAILURE',
    ...{ made: 'nothing', attempts: 1, says: /A TPM error \(257\) occurred attempting to set locality/ },
  },
  { rule: 'GetCapability: rc=FAILURE', made: 'a device alone', attempts: 1, says: FAILURE_MODE },
  {
    title: 'an empty list of properties',
    rule: 'GetCapability[capability=TPM_PROPERTIES]: set=data.count:0',
    ...{ made: 'a device alone', attempts: 1, says: FAILURE_MODE },
  },
  {
    title: 'one command fewer than there are',
    rule: 'GetCapability[capability=COMMANDS]: set=data.count:109',
    ...{ made: 'a device alone', attempts: 1, says: FAILURE_MODE },
  },
  {
    title: '64 banks',
    rule: 'GetCapability[capability=PCRS]: set=data.count:64',
    ...{ made: 'nothing', attempts: 1, says: /out of bank capacity: 64 > 8/ },
  },
  { title: 'no bank', rule: withBanks(), made: [], attempts: 1 },
  { title: 'two banks', rule: withBanks('0004', '000b'), made: ['pcr-sha1', 'pcr-sha256'], attempts: 1 },
  {
    title: 'a bank of a hash that nobody knows',
    rule: withBanks('0004', '0099'),
    ...{ made: 'nothing', attempts: 1, says: /A TPM error \(451\) occurred attempting to read a pcr value/ },
  },
  {
    rule: 'GetCapability[capability=PCRS]: hangup',
    ...{ made: 'nothing', attempts: 1, says: /Operation Canceled/ },
  },
]

describe('a TPM 2.0 is registered', () => {
  let tpm: Tpm
  before(async () => {
    tpm = await createTpm()
  })
  after(() => tpm.close())

  for (const one of CASES) check(() => tpm, one)

  it('without a fault, behind all that, it is healthy', async () => {
    const { made, works, log } = await register(tpm)
    assert.deepEqual([made, works, log], [ALL_BANKS, true, []])
  })
})

const CASES_12: readonly Case[] = [
  {
    rule: 'PCRRead: rc=DISABLED',
    ...{ made: 'a device alone', attempts: 1, says: /TPM is disabled\/deactivated \(0x7\)/ },
  },
  {
    rule: 'PCRRead#1-3: rc=DOING_SELFTEST',
    ...{
      made: 'a device alone',
      attempts: 3,
      says: /A TPM error \(2050\) occurred attempting to read a pcr/,
    },
  },
  {
    rule: 'PCRRead: rc=FAILEDSELFTEST',
    made: 'a device alone',
    attempts: 1,
    says: /TPM self test failed, switching to the firmware upgrade mode/,
  },
  {
    title: 'timeouts of 750 and 2000 µs, which are taken for milliseconds',
    rule: 'GetCapability#1: respond=00c40000001e0000000000000010000002ee000007d0000002ee000002ee',
    made: 'a device alone',
    attempts: 1,
    says: /Adjusting reported timeouts: A 750->750000us B 2000->2000000us C 750->750000us D 750->750000us/,
  },
]

describe('a TPM 1.2 is registered', () => {
  let tpm: Tpm
  before(async () => {
    tpm = await createTpm({ version: '1.2' })
  })
  after(() => tpm.close())

  for (const one of CASES_12) check(() => tpm, one)
})
