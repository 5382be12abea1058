import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyAlgorithm } from '../../../src/programs/common/tpm-keys/key-algorithms.ts'
import { ekTemplate, spkTemplate } from '../../../src/programs/swtpm_setup/key-templates.ts'
import { concat, sized16, u8, u16, u32 } from '../../../src/tpm-commands/bytes.ts'
import {
  createdKey,
  createPrimary,
  evictControl,
  nvDefineSpace,
  nvWrites,
  pcrAllocate,
  pcrBanks,
  pcrsAllocated,
  shutdown,
} from '../../../src/tpm-commands/tpm2-commands.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const standard = { allowSigning: false, decryption: false }
const response = (body: Buffer, tag = 0x8002): Buffer => concat(u16(tag), u32(10 + body.length), u32(0), body)

test('the RSA 2048 EK template is the default one of the EK Credential Profile', () => {
  assert.deepEqual(
    ekTemplate('rsa2048', standard),
    concat(
      hex('0001 000b 000300b2'), // RSA, SHA-256, attributes
      hex('0020 837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa'), // PolicyA
      hex('0006 0080 0043'), // AES-128-CFB
      hex('0010 0800 00000000'), // no scheme, 2048 bits, default exponent
      hex('0100'), // a unique field of zeros
      Buffer.alloc(256),
    ),
  )
})

test('the ECC P-384 EK template is the one of the high range', () => {
  assert.deepEqual(
    ekTemplate('secp384r1', standard),
    concat(
      hex('0023 000c 000300f2'), // ECC, SHA-384, attributes with userWithAuth
      hex(
        '0030 b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
      ), // PolicyB
      hex('0006 0100 0043'), // AES-256-CFB
      hex('0010 0004 0010'), // no scheme, P-384, no key derivation
      hex('0000 0000'), // an empty point
    ),
  )
})

test('an EK that signs is unrestricted and has no symmetric algorithm', () => {
  const attributes = (use: { allowSigning: boolean; decryption: boolean }): number =>
    ekTemplate('rsa2048', use).readUInt32BE(4)
  assert.equal(attributes({ allowSigning: true, decryption: false }), 0x000400b2)
  assert.equal(attributes({ allowSigning: true, decryption: true }), 0x000600b2)
  assert.equal(ekTemplate('rsa2048', { allowSigning: true, decryption: false }).readUInt16BE(42), 0x0010)
})

test('the storage primary key template has no policy and a unique field of zeros', () => {
  assert.deepEqual(spkTemplate('secp256r1').subarray(0, 16), hex('0023 000b 00030472 0000 0006 0080 0043'))
  assert.equal(spkTemplate('secp256r1').length, 16 + 6 + 2 * (2 + 32))
})

test('key algorithms go by two names, in any case', () => {
  assert.equal(keyAlgorithm('ECC_NIST_P384'), 'secp384r1')
  assert.equal(keyAlgorithm('rsa3072'), 'rsa3072')
  assert.equal(keyAlgorithm('rsa1024'), undefined)
})

test('commands carry their length and the empty password', () => {
  assert.deepEqual(shutdown(), hex('8001 0000000c 00000145 0000'))
  assert.deepEqual(
    evictControl(0x80000000, 0x81010001),
    hex('8002 00000023 00000120 40000001 80000000 00000009 40000009 0000 00 0000 81010001'),
  )
  assert.deepEqual(
    createPrimary('endorsement', hex('aabb')),
    hex(
      '8002 0000002b 00000131 4000000b 00000009 40000009 0000 00 0000 0004 0000 0000 0002 aabb 0000 00000000',
    ),
  )
  assert.deepEqual(
    nvDefineSpace(0x01c00002, 0x3f9),
    hex(
      '8002 0000002d 0000012a 4000000c 00000009 40000009 0000 00 0000 0000 000e 01c00002 000b 42072001 0000 03f9',
    ),
  )
})

test('NV data goes in chunks of 1024 bytes, each at its offset', () => {
  const commands = nvWrites(0x01c00002, Buffer.alloc(2049, 0x5a))
  assert.deepEqual(
    commands.map((command) => [
      command.readUInt32BE(2),
      command.readUInt16BE(31),
      command.readUInt16BE(command.length - 2),
    ]),
    [
      [10 + 8 + 13 + 2 + 1024 + 2, 1024, 0],
      [10 + 8 + 13 + 2 + 1024 + 2, 1024, 1024],
      [10 + 8 + 13 + 2 + 1 + 2, 1, 2048],
    ],
  )
})

test('createdKey() finds the public key behind any parameters', () => {
  const rsa = concat(
    hex('0001 000b 000300b2'),
    sized16(Buffer.alloc(32)),
    hex('0006 0080 0043 0010 0800 00000000'),
    sized16(hex('c0ffee')),
  )
  const created = (area: Buffer) =>
    createdKey(response(concat(u32(0x80000000), u32(0), sized16(area), u32(0))))
  assert.deepEqual(created(rsa), { handle: 0x80000000, public: { modulus: hex('c0ffee') } })

  const signingEcc = concat(
    hex('0023 000b 000400f2 0000 0010 0018 000b 0003 0010'), // no symmetric, ECDSA with SHA-256
    sized16(hex('01')),
    sized16(hex('02')),
  )
  assert.deepEqual(created(signingEcc).public, { curve: 3, x: hex('01'), y: hex('02') })
})

test('createdKey() rejects a response that ends too early', () => {
  assert.throws(
    () => createdKey(response(concat(u32(0x80000000), u32(0), u16(100)))),
    /response is too short/,
  )
})

test('PCR banks are read and written with their selections', () => {
  const banks = pcrBanks(
    response(concat(u8(0), u32(5), u32(2), hex('0004 03 000000'), hex('000b 03 ffffff')), 0x8001),
  )
  assert.deepEqual(banks, [
    { algorithm: 4, active: false },
    { algorithm: 11, active: true },
  ])
  assert.deepEqual(
    pcrAllocate(banks),
    hex(
      '8002 0000002b 0000012b 4000000c 00000009 40000009 0000 00 0000 00000002 0004 03 000000 000b 03 ffffff',
    ),
  )
  assert.equal(pcrsAllocated(response(hex('0000000d 01 00000018 00000000 00000000'))), true)
  assert.equal(pcrsAllocated(response(hex('0000000d 00 00000018 00000000 00000000'))), false)
})
