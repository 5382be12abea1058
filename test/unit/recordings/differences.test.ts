/** What counts as a difference between two responses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HandleMap, responseDifferences } from '../../../src/recordings/differences.ts'
import { decodeCommand } from '../../../src/tpm-structures/decode-command.ts'
import { decodeResponse } from '../../../src/tpm-structures/decode-response.ts'

function differences(command: string, recorded: string, got: string, handles?: HandleMap): string[] {
  const asked = decodeCommand(Buffer.from(command, 'hex'))
  const response = (body: string) => {
    const bytes = Buffer.from(`800100000000${body}`, 'hex')
    bytes.writeUInt32BE(bytes.length, 2)
    return decodeResponse(bytes, asked)
  }
  return responseDifferences(response(recorded), response(got), handles).map(
    ({ path, recorded: before, got: after }) => `${path}: ${before} | ${after}`,
  )
}

const OK = '00000000'
const GET_RANDOM = '80010000000c0000017b0004'
const PCR_READ = '8001000000140000017e00000001000b03010000'
const READ_CLOCK = '80010000000a00000181'
const START_SESSION = `80010000002b0000017640000007400000070010${'aa'.repeat(16)}0000000010000b`
const HANDLES = '8001000000160000017a000000018000000000000002'
const UNSEAL = '80020000001b0000015e80000000000000094000000900000000' + '00'

test('random numbers: as many, whichever', () => {
  assert.deepEqual(differences(GET_RANDOM, `${OK}000401020304`, `${OK}000405060708`), [])
  assert.deepEqual(differences(GET_RANDOM, `${OK}000401020304`, `${OK}00020506`), [
    'randomBytes: 4 bytes | 2 bytes',
  ])
})

test('response codes, in words', () => {
  assert.deepEqual(differences(GET_RANDOM, `${OK}000401020304`, '00000922'), ['code: SUCCESS | RETRY'])
})

test('PCRs are the same; the counter of their changes need not be', () => {
  const pcr = (counter: string, value: string) =>
    `${OK}${counter}00000001000b03010000000000010020${value.repeat(32)}`
  assert.deepEqual(differences(PCR_READ, pcr('00000001', '00'), pcr('00000007', '00')), [])
  assert.deepEqual(differences(PCR_READ, pcr('00000001', '00'), pcr('00000001', '11')), [
    `pcrValues[0]: ${'00'.repeat(32)} | ${'11'.repeat(32)}`,
  ])
})

test('clocks are not compared', () => {
  const clock = (time: string) => `${OK}${time.repeat(8)}${time.repeat(8)}${'000000010000000000'}`
  assert.deepEqual(differences(READ_CLOCK, clock('00'), clock('17')), [])
})

test('nonces of the TPM: as many', () => {
  const session = (nonce: string) => `${OK}020000000010${nonce.repeat(16)}`
  assert.deepEqual(differences(START_SESSION, session('aa'), session('bb')), [])
})

test('handles are the same thing, or another number of it', () => {
  const list = (handle: string) => `${OK}000000000100000001${handle}`
  assert.deepEqual(differences(HANDLES, list('80000000'), list('80000002')), [
    'capabilityData.data[0]: 0x80000000 | 0x80000002',
  ])
  assert.deepEqual(
    differences(HANDLES, list('80000000'), list('80000002'), new Map([[0x80000000, 0x80000002]])),
    [],
  )
})

test('a secret that is another one is said, and not shown', () => {
  const unsealed = (secret: string) => `${OK}0004${secret.repeat(4)}`
  const found = differences(UNSEAL, unsealed('aa'), unsealed('bb'))
  assert.deepEqual(found, ['outData: 4 bytes | 4 bytes'])
})

test('bytes that no table fits are compared as they are', () => {
  assert.deepEqual(differences(GET_RANDOM, `${OK}00ff01`, `${OK}00ff01`), [])
  assert.equal(differences(GET_RANDOM, `${OK}00ff01`, `${OK}00ff02`).length, 1)
})
