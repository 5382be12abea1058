/** Exchanges as a line for people and as JSON. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exchangeJson, exchangeLine } from '../../../src/tpm-structures/exchange-text.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const ascii = (text: string): string => Buffer.from(text).toString('hex')

const D = '11'.repeat(32)
const PASSWORD = ascii('planted-password')
const EXTEND = {
  at: 1.1534,
  duration: 0.1432,
  locality: 3,
  command: hex(
    `8002 00000051 00000182 00000010 00000019 40000009 0000 00 0010 ${PASSWORD} 00000001 000b ${D}`,
  ),
  response: hex('8002 00000013 00000000 00000000 0000 01 0000'),
}
const CREATE = hex(
  '8002 0000003f 00000153 80000001 0000000d 02000000 0002 aabb 01 0002 ccdd' +
    ` 0008 0004 ${ascii('auth')} 0000 000e 0008 000b 00000052 0000 0010 0000 0000 00000000`,
)

const plain = (line: string): string => line.trim().replaceAll(/ {2,}/g, '  ')

test('a line: time, duration, locality, handle, session, parameters, result', () => {
  assert.equal(
    plain(exchangeLine(EXTEND, { secrets: false })),
    '1.153  143 ms  locality 3 PCR_Extend pcrHandle PCR16 auth(pw) digests [SHA256:11111111…(32)] → SUCCESS',
  )
})

test('a public area, attributes in words, a secret by its length', () => {
  const exchange = {
    at: undefined,
    duration: undefined,
    locality: 0,
    command: CREATE,
    response: hex('8001 0000000a 00000922'),
  }
  assert.equal(
    plain(exchangeLine(exchange, { secrets: false })),
    'Create parentHandle obj:000001 auth(hmac:000000 continue) inSensitive {userAuth <secret, 4 bytes> data -}' +
      ' inPublic {KEYEDHASH SHA256 fixedTPM|fixedParent|userWithAuth} outsideInfo - creationPCR [] → RETRY (0x922)',
  )
  assert.match(exchangeLine(exchange, { secrets: true }), new RegExp(`userAuth ${ascii('auth')} data`))
})

test('JSON has all of it, passwords only when they are asked for', () => {
  const hidden = JSON.stringify(exchangeJson(EXTEND, { secrets: false }))
  assert.ok(!hidden.includes(PASSWORD))
  assert.match(hidden, /"password":"<secret, 16 bytes>"/)
  assert.match(
    JSON.stringify(exchangeJson(EXTEND, { secrets: true })),
    new RegExp(`"password":"${PASSWORD}"`),
  )
  const { name, handles, parameters, response } = exchangeJson(EXTEND, { secrets: false })
  assert.deepEqual(
    { name, handles, parameters },
    {
      name: 'PCR_Extend',
      handles: { pcrHandle: 'PCR16' },
      parameters: { digests: [{ hashAlg: 'SHA256', digest: D }] },
    },
  )
  assert.equal((response as { text: string }).text, 'SUCCESS')
})

test('PCR selections, properties of letters, lists that are long', () => {
  const line = (command: string, response: string) =>
    plain(
      exchangeLine(
        {
          at: undefined,
          duration: undefined,
          locality: undefined,
          command: hex(command),
          response: hex(response),
        },
        { secrets: false },
      ),
    ).replace(/^.*→ SUCCESS /, '')
  assert.equal(
    line(
      '8001 00000016 0000017a 00000005 00000000 00000001',
      '8001 00000025 00000000 00 00000005 00000003 0004 03 ffffff 000b 03 ff0001 000c 03 000000',
    ),
    'moreData no capabilityData {capability PCRS data [SHA1:all, SHA256:0-7,16, SHA384:none]}',
  )
  assert.equal(
    line(
      '8001 00000016 0000017a 00000006 00000105 00000002',
      '8001 00000023 00000000 01 00000006 00000002 00000105 49424d00 00000129 0000006e',
    ),
    'moreData yes capabilityData {capability TPM_PROPERTIES data [MANUFACTURER="IBM", TOTAL_COMMANDS=110]}',
  )
  assert.equal(
    line(
      '8001 00000016 0000017a 00000001 80000000 000000fe',
      `8001 00000037 00000000 00 00000001 00000009 ${'80000000'.repeat(9)}`,
    ),
    'moreData no capabilityData {capability HANDLES data 9 entries}',
  )
})
