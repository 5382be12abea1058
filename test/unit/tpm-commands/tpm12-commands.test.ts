import assert from 'node:assert/strict'
import { constants, createHmac, generateKeyPairSync, privateDecrypt } from 'node:crypto'
import { test } from 'node:test'
import { concat, u32 } from '../../../src/tpm-commands/bytes.ts'
import {
  createEndorsementKeyPair,
  endorsementModulus,
  NV_INDEX_EK_CERT,
  nvDefineCert,
  nvLock,
  nvWriteValue,
  sha1,
  takeOwnership,
} from '../../../src/tpm-commands/tpm12-commands.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

test('CreateEndorsementKeyPair asks for RSA 2048 with OAEP', () => {
  assert.deepEqual(
    createEndorsementKeyPair(Buffer.alloc(20, 0xab)),
    concat(
      hex('00c1 00000036 00000078'),
      Buffer.alloc(20, 0xab),
      hex('00000001 0003 0001 0000000c 00000800 00000002 00000000'),
    ),
  )
})

test('endorsementModulus() steps over the parameters', () => {
  const body = concat(
    hex('00000001 0003 0001 0000000c 00000800 00000002 00000000 00000003 c0ffee'),
    Buffer.alloc(20),
  )
  assert.deepEqual(endorsementModulus(concat(hex('00c4 00000000 00000000'), body)), hex('c0ffee'))
})

test('NV areas have owner permissions, any PCRs and no authorisation', () => {
  const anyPcrs = concat(hex('0003 000000 1f'), Buffer.alloc(20))
  assert.deepEqual(
    nvDefineCert(NV_INDEX_EK_CERT, 0x400),
    concat(
      hex('00c1 00000065 000000cc 0018 1000f000'),
      anyPcrs,
      anyPcrs,
      hex('0017 00020002 000000 00000400'),
      Buffer.alloc(20),
    ),
  )
  assert.equal(nvLock().readUInt32BE(12), 0xffffffff)
  assert.deepEqual(
    nvWriteValue(NV_INDEX_EK_CERT, hex('0102')),
    hex('00c1 00000018 000000cd 1000f000 00000000 00000002 0102'),
  )
})

test('TakeOwnership hides both secrets from all but the TPM and proves the owner password', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url')
  const [ownerAuth, srkAuth] = [sha1('ooo'), sha1('sss')]
  const [nonceEven, nonceOdd] = [Buffer.alloc(20, 1), Buffer.alloc(20, 2)]
  const session = { handle: 0x01020304, nonceEven }
  const command = takeOwnership({ endorsementModulus: modulus, ownerAuth, srkAuth, session, nonceOdd })

  assert.equal(command.readUInt16BE(0), 0x00c2)
  assert.equal(command.readUInt32BE(2), command.length)
  const decrypt = (start: number): Buffer => {
    assert.equal(command.readUInt32BE(start), 256)
    return privateDecrypt(
      {
        key: privateKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha1',
        oaepLabel: Buffer.from('TCPA'),
      },
      command.subarray(start + 4, start + 4 + 256),
    )
  }
  assert.deepEqual(decrypt(12), ownerAuth)
  assert.deepEqual(decrypt(12 + 4 + 256), srkAuth)

  const authBlock = command.subarray(-(4 + 20 + 1 + 20))
  assert.deepEqual(authBlock.subarray(0, 25), concat(u32(session.handle), nonceOdd, hex('00')))
  const inDigest = sha1(command.subarray(6, command.length - authBlock.length))
  const expected = createHmac('sha1', ownerAuth)
    .update(concat(inDigest, nonceEven, nonceOdd, hex('00')))
    .digest()
  assert.deepEqual(authBlock.subarray(25), expected)
})
