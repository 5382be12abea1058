/** Commands and responses read by the tables: what a caller of decodeCommand and decodeResponse gets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandByName, commandsOf, nearestNames } from '../../../src/tpm-structures/commands.ts'
import { decodeCommand } from '../../../src/tpm-structures/decode-command.ts'
import { decodeResponse } from '../../../src/tpm-structures/decode-response.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const GET_PCRS = '8001 00000016 0000017a 00000005 00000000 00000001'
const D = '11'.repeat(32)
const EXTEND = `8002 00000041 00000182 00000010 00000009 40000009 0000 00 0000 00000001 000b ${D}`

test('a command without sessions', () => {
  const command = decodeCommand(hex(GET_PCRS))
  assert.deepEqual(
    [command.version, command.tag, command.size, command.code, command.name, command.problem],
    ['2', 0x8001, 22, 0x17a, 'GetCapability', undefined],
  )
  assert.deepEqual(command.parameters, { capability: 'PCRS', property: 0, propertyCount: 1 })
})

test('handles, sessions and a list', () => {
  const command = decodeCommand(hex(EXTEND))
  assert.deepEqual(command.handles, [{ name: 'pcrHandle', value: 16 }])
  assert.deepEqual(
    command.sessions.map(({ kind, attributes, hmac }) => [kind, attributes, hmac.length]),
    [['pw', 0, 0]],
  )
  assert.deepEqual(command.parameters, { digests: [{ hashAlg: 'SHA256', digest: hex(D) }] })
})

test('a response is read by its command', () => {
  const response = decodeResponse(
    hex('8001 00000019 00000000 00 00000005 00000001 000b 03 ffff00'),
    decodeCommand(hex(GET_PCRS)),
  )
  assert.equal(response.problem, undefined)
  assert.deepEqual(response.parameters, {
    moreData: false,
    capabilityData: { capability: 'PCRS', data: [{ hash: 'SHA256', pcrSelect: hex('ffff00') }] },
  })
})

test('a response with sessions: parameters end where their size says', () => {
  const response = decodeResponse(
    hex('8002 00000013 00000000 00000000 0000 01 0000'),
    decodeCommand(hex(EXTEND)),
  )
  assert.equal(response.problem, undefined)
  assert.deepEqual(
    response.sessions.map(({ kind, attributes }) => [kind, attributes]),
    [['pw', 1]],
  )
})

test('a first parameter that a session enciphers is not read', () => {
  const get = `8002 0000001d 0000017b 0000000b 02000000 0000 41 0002 aabb 0008`
  const response = decodeResponse(
    hex('8002 0000001b 00000000 00000006 0004 deadbeef 0000 41 0002 aabb'),
    decodeCommand(hex(get)),
  )
  assert.equal(response.problem, undefined)
  assert.deepEqual(response.parameters, { randomBytes: hex('deadbeef') })
  assert.equal(response.parameterFields[0]?.enciphered, true)
})

test('a response code is said with the name of what it points at', () => {
  const evict = decodeCommand(
    hex('8002 00000023 00000120 40000001 80000000 00000009 40000009 0000 00 0000 81000001'),
  )
  const response = (code: string) => decodeResponse(hex(`8001 0000000a ${code}`), evict).text
  assert.equal(response('0000028b'), 'HANDLE at handle 2 (objectHandle)')
  assert.equal(response('000001cd'), 'RANGE at parameter 1 (persistentHandle)')
  assert.equal(response('00000922'), 'RETRY')
  assert.equal(response('00012345'), '0x12345')
})

test('TPM 1.2 by its tag, authorization at the end', () => {
  const command = decodeCommand(
    hex(`00c2 0000003b 00000021 40000000 ${'00'.repeat(3)}05 ${'22'.repeat(20)} 01 ${'33'.repeat(20)}`),
  )
  assert.deepEqual([command.version, command.name, command.problem], ['1.2', 'GetPubKey', undefined])
  assert.deepEqual(command.handles, [{ name: 'keyHandle', value: 0x40000000 }])
  assert.deepEqual(
    command.sessions.map(({ handle, attributes }) => [handle, attributes]),
    [[5, 1]],
  )
  assert.equal(decodeResponse(hex('00c4 0000000a 00000006'), command).text, 'DEACTIVATED')
})

test('what does not fit is said, not thrown', () => {
  assert.equal(decodeCommand(hex('80')).problem, 'header.tag is cut off')
  assert.equal(decodeCommand(hex('8001 0000000a 00007777')).name, '0x00007777')
  assert.equal(
    decodeResponse(hex('8001 0000000e 00000000 0040 1122'), decodeCommand(hex('8001 0000000c 0000017b 0040')))
      .problem,
    'randomBytes is cut: 64 bytes by its size, 2 there',
  )
})

test('every command of both sets has a row that can be read', () => {
  for (const row of [...commandsOf('2'), ...commandsOf('1.2')]) {
    assert.ok(row.handles.length <= 3, row.name)
    assert.ok(row.parameters.length + row.responseParameters.length >= 0, row.name)
    assert.ok(row.responseHandles.length <= 1, row.name)
  }
  assert.equal(commandsOf('2').filter(({ code }) => code < 0x199 || code === 0x20000000).length, 118)
})

test('commands by name', () => {
  assert.equal(commandByName('TPM2_pcr_extend')?.code, 0x182)
  assert.equal(commandByName('OIAP')?.version, '1.2')
  assert.equal(commandByName('GetRandom', '1.2')?.code, 0x46)
  assert.equal(commandByName('MAC')?.name, 'HMAC')
  assert.equal(commandByName('GetRandm'), undefined)
  assert.deepEqual(nearestNames('GetRandm'), ['GetRandom'])
})
