/** Fields by path, and messages with another value in one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCommand } from '../../../src/tpm-structures/decode-command.ts'
import { decodeResponse } from '../../../src/tpm-structures/decode-response.ts'
import { locate, setField } from '../../../src/tpm-structures/locate.ts'
import { matchesParameter } from '../../../src/tpm-structures/match.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const plain = (bytes: Buffer): string => bytes.toString('hex')

const GET_RANDOM = decodeCommand(hex('8001 0000000c 0000017b 0004'))
const RANDOM = decodeResponse(hex('8001 00000010 00000000 0004 11223344'), GET_RANDOM)
const GET_PCRS = decodeCommand(hex('8001 00000016 0000017a 00000005 00000000 00000001'))
const PCRS = decodeResponse(
  hex('8001 0000001f 00000000 00 00000005 00000002 000403ffffff 000b03000000'),
  GET_PCRS,
)
const EXTEND = decodeCommand(
  hex(`8002 00000041 00000182 00000010 00000009 40000009 0000 00 0000 00000001 000b ${'11'.repeat(32)}`),
)

test('a path of which steps are left out, while one field only is meant', () => {
  assert.equal(locate(PCRS, 'capabilityData.data.count')?.offset, 15)
  assert.equal(locate(PCRS, 'data.count')?.offset, 15)
  assert.equal(locate(PCRS, 'COUNT')?.offset, 15)
  assert.equal(locate(PCRS, 'data[1].sizeofSelect')?.offset, 27)
  assert.equal(locate(PCRS, 'sizeofSelect'), undefined)
  assert.equal(locate(EXTEND, 'digests[0].digest')?.length, 32)
  assert.equal(locate(EXTEND, 'sessions[0].attributes')?.offset, 24)
  assert.equal(locate(RANDOM, 'size')?.path, 'randomBytes.size')
  assert.equal(locate(RANDOM, 'header.size')?.offset, 2)
})

test('a number changes its own bytes only, also where it is a size', () => {
  assert.equal(
    plain(setField(RANDOM, 'randomBytes.size', 64)),
    '8001000000100000000000401122 3344'.replace(' ', ''),
  )
  assert.equal(plain(setField(PCRS, 'data.count', '0x40')).slice(30, 38), '00000040')
  assert.equal(plain(setField(PCRS, 'data[0].hash', 'SHA384')).slice(38, 42), '000c')
})

test('bytes of another length change the sizes around them', () => {
  assert.equal(plain(setField(RANDOM, 'randomBytes', hex('aa'))), '80010000000d000000000001aa')
  const changed = setField(PCRS, 'data[0].pcrSelect', 'ffff')
  assert.equal(plain(changed).slice(38, 48), '000402ffff')
  assert.equal(changed.readUInt32BE(2), 30)
  const withHmac = setField(EXTEND, 'sessions[0].hmac', 'aabb')
  assert.deepEqual([withHmac.readUInt32BE(2), withHmac.readUInt32BE(14)], [67, 11])
})

test('a wrong path or value is named', () => {
  assert.throws(() => setField(RANDOM, 'bytes', '00'), /there is no field "bytes"/)
  assert.throws(() => setField(PCRS, 'hash', 'SHA1'), /may be capabilityData.data\[0\].hash or/)
  assert.throws(() => setField(RANDOM, 'size', 0x10000), /2 bytes: 65536 does not fit/)
  assert.throws(() => setField(RANDOM, 'size', 'many'), /"many" is no value for randomBytes.size/)
})

test('filters by parameters and handles', () => {
  assert.ok(matchesParameter(GET_PCRS, 'capability', 'PCRS'))
  assert.ok(matchesParameter(GET_PCRS, 'capability', '5'))
  assert.ok(!matchesParameter(GET_PCRS, 'capability', 'HANDLES'))
  assert.ok(matchesParameter(EXTEND, 'handle', 'PCR16'))
  assert.ok(matchesParameter(EXTEND, 'pcrHandle', '0x10'))
  assert.ok(!matchesParameter(EXTEND, 'handle', '0x02000000/8'))
  const save = decodeCommand(hex('8001 0000000e 00000162 02000007'))
  assert.ok(matchesParameter(save, 'handle', '0x02000000/8'))
  assert.ok(!matchesParameter(save, 'handle', '0x80000000/8'))
  assert.ok(matchesParameter(decodeCommand(hex('8001 0000000c 00000145 0001')), 'shutdownType', 'STATE'))
})
