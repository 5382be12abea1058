/**
 * Every command of both versions decodes; what real programs have asked libtpms, cut at every length, gives a line; secrets are in
 * no line. test/vectors/exchanges has what was recorded: of libtpms 0.9.2, with tpm2-tools, TrouSerS and the kernels' own commands.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { readRecordingLine } from '../../../src/recordings/tpmrec.ts'
import { commandsOf } from '../../../src/tpm-structures/commands.ts'
import { decodeCommand } from '../../../src/tpm-structures/decode-command.ts'
import { decodeResponse } from '../../../src/tpm-structures/decode-response.ts'
import { exchangeJson, exchangeLine, type TracedExchange } from '../../../src/tpm-structures/exchange-text.ts'
import { Random } from '../../fuzz/random.ts'
import { anyMessage } from '../../support/any-message.ts'
import { projectRoot } from '../../support/swtpm.ts'

function recorded(name: string): TracedExchange[] {
  const [, ...lines] = readFileSync(join(projectRoot, 'test/vectors/exchanges', name), 'utf8')
    .trimEnd()
    .split('\n')
  return lines.map((line) => readRecordingLine(JSON.parse(line)) as TracedExchange)
}

const RECORDED = ['boot-6.1.tpmrec', 'boot-6.12.tpmrec', 'tpm2-tools.tpmrec', 'tpm12.tpmrec'] as const
const HIDDEN = { secrets: false }
const SHOWN = { secrets: true }
/** All secrets of the recordings begin so, in ASCII; it is in no name or other field. */
const PLANTED = Buffer.from('planted-').toString('hex')

describe('recorded exchanges', () => {
  for (const name of RECORDED) {
    test(`${name}: each fits the tables`, () => {
      for (const { command, response } of recorded(name)) {
        const decoded = decodeCommand(command)
        const line = exchangeLine({ at: 0, duration: 0, locality: 0, command, response }, HIDDEN)
        // The TPM was asked for one command that there is not.
        if (decoded.row === undefined) assert.match(line, /BAD_ORDINAL/)
        else assert.equal(decoded.problem, undefined, line)
        if (response !== undefined) assert.equal(decodeResponse(response, decoded).problem, undefined, line)
      }
    })

    test(`${name}: no secret is in a line or in JSON, unless it is asked for`, () => {
      const all = recorded(name)
      const text = (options: typeof HIDDEN) =>
        all
          .map((one) => `${exchangeLine(one, options)}\n${JSON.stringify(exchangeJson(one, options))}`)
          .join('\n')
      assert.ok(!text(HIDDEN).includes(PLANTED))
      assert.ok(text(SHOWN).includes(PLANTED))
    })
  }

  test('libtpms has executed most commands of both versions', () => {
    const succeeded = (name: string) =>
      new Set(
        recorded(name)
          .filter(({ response }) => response !== undefined && Buffer.from(response).readUInt32BE(6) === 0)
          .map(({ command }) => decodeCommand(command).name),
      )
    assert.equal(succeeded('tpm2-tools.tpmrec').size, 108)
    assert.equal(succeeded('tpm12.tpmrec').size, 71)
  })

  for (const name of ['tpm2-tools.tpmrec', 'tpm12.tpmrec'] as const)
    test(`${name}: cut at every length, a line without a secret`, () => {
      for (const one of recorded(name)) {
        const { command, response } = one
        for (let length = 0; length < command.length; length++)
          check({ ...one, command: command.subarray(0, length) })
        for (let length = 0; length < (response?.length ?? 0); length++)
          check({ ...one, response: response!.subarray(0, length) })
      }
    })
})

function check(exchange: TracedExchange): void {
  const line = exchangeLine(exchange, HIDDEN)
  assert.ok(!line.includes('\n') && !line.includes(PLANTED), line)
}

describe('commands made from the tables', () => {
  for (const version of ['2', '1.2'] as const)
    test(`each of TPM ${version}, back and forth`, () => {
      const random = new Random(version === '2' ? 1 : 2)
      for (const row of commandsOf(version)) {
        for (let round = 0; round < 20; round++) {
          const { command, response, handles } = anyMessage(random, row)
          const asked = decodeCommand(command.bytes)
          assert.deepEqual([asked.name, asked.problem], [row.name, undefined], command.bytes.toString('hex'))
          assert.deepEqual(
            asked.handles.map(({ value }) => value),
            handles,
          )
          assert.deepEqual(asked.parameters, command.value, row.name)
          const answered = decodeResponse(response.bytes, asked)
          assert.deepEqual(
            [answered.problem, answered.text],
            [undefined, 'SUCCESS'],
            `${row.name} ${response.bytes.toString('hex')}`,
          )
          assert.deepEqual(answered.parameters, response.value, row.name)
        }
      }
    })

  test('cut at every length: a line', () => {
    const random = new Random(3)
    for (const row of [...commandsOf('2'), ...commandsOf('1.2')]) {
      const { command, response } = anyMessage(random, row)
      const whole = { at: 0, duration: 0, locality: 0, command: command.bytes, response: response.bytes }
      for (let length = 0; length < command.bytes.length; length++)
        check({ ...whole, command: command.bytes.subarray(0, length) })
      for (let length = 0; length < response.bytes.length; length++)
        check({ ...whole, response: response.bytes.subarray(0, length) })
    }
  })
})

describe('the boot of a kernel reads like a story', () => {
  const story = (name: string): string[] =>
    recorded(name).map((one) =>
      exchangeLine({ ...one, at: undefined, duration: undefined }, HIDDEN)
        .trim()
        .replaceAll(/ {2,}/g, ' '),
    )
  const REGISTERED = [
    'Startup startupType CLEAR → SUCCESS',
    'SelfTest fullTest no → SUCCESS',
    'SetLocality locality 0 → SUCCESS',
    'SelfTest fullTest no → SUCCESS',
    'GetCapability capability TPM_PROPERTIES property TOTAL_COMMANDS propertyCount 1 → SUCCESS moreData yes capabilityData {capability TPM_PROPERTIES data [TOTAL_COMMANDS=110]}',
    'GetCapability capability COMMANDS property NV_UndefineSpaceSpecial propertyCount 110 → SUCCESS moreData no capabilityData {capability COMMANDS data 110 entries}',
    'GetCapability capability PCRS property 0 propertyCount 1 → SUCCESS moreData no capabilityData {capability PCRS data [SHA1:all, SHA256:all, SHA384:all, SHA512:all]}',
  ]

  for (const kernel of ['6.1', '6.12']) {
    test(`${kernel}: registration`, () => {
      assert.deepEqual(story(`boot-${kernel}.tpmrec`).slice(0, REGISTERED.length), REGISTERED)
    })

    test(`${kernel}: what tpm2-tools ask through the resource manager`, () => {
      const lines = story(`boot-${kernel}.tpmrec`)
      const one = (pattern: RegExp) =>
        assert.ok(
          lines.some((line) => pattern.test(line)),
          String(pattern),
        )
      one(
        /^Create parentHandle obj:000000 auth\(hmac:000000 continue\) inSensitive \{userAuth <secret, 16 bytes> data <secret, 20 bytes>\} inPublic \{KEYEDHASH SHA256 fixedTPM\|fixedParent\|userWithAuth\} outsideInfo - creationPCR \[\] → RETRY \(0x922\)$/,
      )
      one(
        /^Unseal itemHandle obj:\d+ auth\(hmac:\d+ continue.*\) → SUCCESS outData <(secret|enciphered), 20 bytes>$/,
      )
      one(/^PCR_Extend pcrHandle PCR16 auth\(pw\) digests \[SHA256:11111111…\(32\)\] → SUCCESS$/)
      one(/^ContextSave saveHandle hmac:000000 → REFERENCE_H0 \(0x910\)$/)
    })
  }
})
