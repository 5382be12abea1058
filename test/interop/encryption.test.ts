/** Encrypted state files go back and forth between Debian's swtpm and ours, and a damaged one is refused as it is. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { closeSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { type ControlTpmOptions, startControlTpm } from '../support/control-tpm.ts'
import { startPoweredTpm } from '../support/powered-tpm.ts'
import { AWAKE } from '../support/rest.ts'
import { decryptFields, FLAG, makeVersion1, parseFields, parseStateBlob, TAG } from '../support/state-blob.ts'
import { type Cleanup, projectRoot, REFERENCE_SWTPM, temporaryDirectory } from '../support/swtpm.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { type Key, keyForms, makeKey } from './key-forms.ts'

const withoutReference = existsSync(REFERENCE_SWTPM)
  ? false
  : `${REFERENCE_SWTPM} is missing: apt-get install swtpm`
const debian = { program: REFERENCE_SWTPM }

const PERMANENT = 'tpm2-00.permall'
/** libtpms's version of the permanent state and its magic number. */
const PERMANENT_MAGIC = 0xab364723

const key256 = keyForms.find(({ bits, kind }) => bits === 256 && kind === 'hex')!
const key128 = keyForms.find(({ bits, kind }) => bits === 128 && kind === 'hex')!

/** A state with something in its NV memory. */
async function makeState(
  t: Cleanup,
  key: Key | undefined,
  program = {},
): Promise<{ directory: string; file: string; bytes: Buffer }> {
  const tpm = await startPoweredTpm(t, key === undefined ? [] : ['--key', key.byFile], program)
  await tpm.writeNv()
  await tpm.shutDown()
  const file = join(tpm.directory, PERMANENT)
  return { directory: tpm.directory, file, bytes: readFileSync(file) }
}

/** What is in a state file, by the rules of the format. */
function plainOf(bytes: Buffer, key: Key): Buffer {
  return decryptFields(key.bytes, parseFields(parseStateBlob(bytes).payload), [
    TAG.encryptedData,
    TAG.ivEncryptedData,
  ])
}

describe('encrypted state files', () => {
  for (const form of keyForms) {
    it(`are as the format has them: ${form.name}`, async (t) => {
      const key = makeKey(form, temporaryDirectory(t), 'key')
      const { bytes } = await makeState(t, key)
      const blob = parseStateBlob(bytes)
      assert.deepEqual(
        { ...blob, payload: undefined },
        {
          version: 2,
          minimumVersion: 1,
          headerSize: 10,
          flags: FLAG.encrypted | (form.bits === 256 ? FLAG.fileKey256 : 0),
          totalLength: bytes.length,
          payload: undefined,
        },
      )
      assert.deepEqual(
        [...parseFields(blob.payload).keys()],
        [TAG.encryptedData, TAG.hmac, TAG.ivEncryptedData],
      )
      assert.equal(plainOf(bytes, key).readUInt32BE(2), PERMANENT_MAGIC)
    })

    for (const [from, to, writer, reader] of [
      ["Debian's swtpm", 'ours', debian, {}],
      ['ours', "Debian's swtpm", {}, debian],
    ] as const) {
      it(`written by ${from} open in ${to}: ${form.name}`, { skip: withoutReference }, async (t) => {
        const key = makeKey(form, temporaryDirectory(t), 'key')
        const { directory } = await makeState(t, key, writer)
        for (const by of ['file', 'fd'] as const) {
          const fd = key.open()
          const args = ['--key', by === 'file' ? key.byFile : key.byFd(3)]
          const tpm = await startPoweredTpm(t, args, { ...reader, directory, stdio: [fd] })
          closeSync(fd)
          await tpm.checkNv()
          await tpm.shutDown()
        }
      })
    }
  }
})

/** A TPM of ours on a state file that tests exchange under it; each INIT reads it again. */
async function startReader(
  t: Cleanup,
  directory: string,
  args: readonly string[],
  options: ControlTpmOptions = {},
) {
  const { swtpm, controlPath } = await startControlTpm(t, ['--tpm2', ...args], { directory, ...options })
  const vmm = new VmmClient(t, controlPath)
  return {
    swtpm,
    async powerOn(): Promise<boolean> {
      const ok = (await vmm.control(`${CMD.INIT} 00000000`)) === '00000000'
      assert.equal(await vmm.control(CMD.STOP), '00000000')
      return ok
    },
  }
}

describe('a state that does not open', () => {
  for (const [what, message, args] of [
    [
      'another key',
      /Cannot decrypt state "tpm2-00\.permall": wrong key/,
      (other: Key) => ['--key', other.byFile],
    ],
    ['no key', /Cannot use state "tpm2-00\.permall": it is encrypted, and no key was given/, () => []],
  ] as const) {
    it(`says why, and stays as it is: ${what}`, async (t) => {
      const keys = temporaryDirectory(t)
      const { directory, file, bytes } = await makeState(t, makeKey(key256, keys, 'key'))
      const reader = await startReader(t, directory, args(makeKey(key256, keys, 'other')))
      assert.equal(await reader.powerOn(), false)
      assert.match(reader.swtpm.stderr, message)
      assert.equal(await reader.swtpm.stop(), 0)
      assert.deepEqual(readFileSync(file), bytes)
    })
  }

  it('says why, and stays as it is: a key of the other size', async (t) => {
    const keys = temporaryDirectory(t)
    const { directory, file, bytes } = await makeState(t, makeKey(key256, keys, 'key'))
    const reader = await startReader(t, directory, ['--key', makeKey(key128, keys, 'other').byFile])
    assert.equal(await reader.powerOn(), false)
    assert.match(reader.swtpm.stderr, /it needs a 256 bit key, the given one has 128/)
    assert.deepEqual(readFileSync(file), bytes)
  })

  it('says why, and stays as it is: a key where none is needed', async (t) => {
    const { directory, file, bytes } = await makeState(t, undefined)
    const other = makeKey(key128, temporaryDirectory(t), 'other')
    const reader = await startReader(t, directory, ['--key', other.byFile])
    assert.equal(await reader.powerOn(), false)
    assert.match(reader.swtpm.stderr, /a key was given, but the state is not encrypted/)
    assert.deepEqual(readFileSync(file), bytes)
  })

  for (const form of [key128, key256]) {
    it(`is refused for a flipped bit, wherever it is: aes-${form.bits}-cbc`, async (t) => {
      const key = makeKey(form, temporaryDirectory(t), 'key')
      const { directory, file, bytes } = await makeState(t, key)
      const reader = await startReader(t, directory, ['--key', key.byFile], { env: AWAKE })
      const accepted: string[] = []
      for (const [at, bit] of bitsToFlip(bytes)) {
        const damaged = Buffer.from(bytes)
        damaged[at]! ^= 1 << bit
        writeFileSync(file, damaged)
        if (await reader.powerOn()) accepted.push(`byte ${at}, bit ${bit}`)
        assert.deepEqual(readFileSync(file), damaged)
      }
      assert.deepEqual(accepted, [])
      // It was the bit.
      writeFileSync(file, bytes)
      assert.equal(await reader.powerOn(), true)
    })
  }

  it('is refused when it is cut short or longer', async (t) => {
    const key = makeKey(key256, temporaryDirectory(t), 'key')
    const { directory, file, bytes } = await makeState(t, key)
    const reader = await startReader(t, directory, ['--key', key.byFile])
    for (const length of [0, 1, 9, 10, 11, 16, bytes.length - 1]) {
      writeFileSync(file, bytes.subarray(0, length))
      assert.equal(await reader.powerOn(), false, `${length} bytes`)
    }
    writeFileSync(file, Buffer.concat([bytes, Buffer.alloc(1)]))
    assert.equal(await reader.powerOn(), false, 'one byte more')
  })
})

/** Every bit of the header; two of each byte of the other fields; of the ciphertext its ends and some between. */
function* bitsToFlip(bytes: Buffer): Generator<[at: number, bit: number]> {
  const ciphertextLength = bytes.readUInt32BE(12)
  const start = 16
  const end = start + ciphertextLength
  for (let at = 0; at < bytes.length; at++) {
    const inside = at >= start && at < end
    if (inside && at >= start + 16 && at < end - 16 && at % 997 !== 0) continue
    if (inside) yield [at, at % 8]
    else if (at < start) for (let bit = 0; bit < 8; bit++) yield [at, bit]
    else for (const bit of [at % 8, (at + 4) % 8]) yield [at, bit]
  }
}

describe('state files of version 1', () => {
  const keys = [undefined, key128, key256] as const
  for (const form of keys) {
    const name = form === undefined ? 'not encrypted' : `aes-${form.bits}-cbc`
    for (const [whose, program, skip] of [
      ['ours', {}, false],
      ["Debian's swtpm, which shows that they are right", debian, withoutReference],
    ] as const) {
      it(`open in ${whose}: ${name}`, { skip }, async (t) => {
        const temporary = temporaryDirectory(t)
        const current = makeKey(key256, temporary, 'current')
        const { directory, file, bytes } = await makeState(t, current)
        const key = form && makeKey(form, temporary, 'key')
        writeFileSync(file, makeVersion1(plainOf(bytes, current), key?.bytes))
        const args = key === undefined ? [] : ['--key', key.byFile]
        const tpm = await startPoweredTpm(t, args, { ...program, directory })
        await tpm.checkNv()
        await tpm.shutDown()
      })
    }

    it(`are written as version 2 when something changes: ${name}`, async (t) => {
      const temporary = temporaryDirectory(t)
      const current = makeKey(key256, temporary, 'current')
      const { directory, file, bytes } = await makeState(t, current)
      const key = form && makeKey(form, temporary, 'key')
      writeFileSync(file, makeVersion1(plainOf(bytes, current), key?.bytes))
      const args = key === undefined ? [] : ['--key', key.byFile]
      const tpm = await startPoweredTpm(t, args, { directory })
      // Powering on counts a start of the TPM, which is stored.
      await tpm.shutDown()
      const blob = parseStateBlob(readFileSync(file))
      assert.equal(blob.version, 2)
      assert.equal((blob.flags & FLAG.encrypted) !== 0, key !== undefined)
    })
  }

  for (const [name, bits] of [
    ['plain', 0],
    ['aes-128', 128],
    ['aes-256', 256],
  ] as const) {
    it(`open as they were kept: test/vectors/state-version-1/${name}.permall`, async (t) => {
      const directory = temporaryDirectory(t)
      copyFileSync(
        join(projectRoot, 'test/vectors/state-version-1', `${name}.permall`),
        join(directory, PERMANENT),
      )
      const passphrase = join(temporaryDirectory(t), 'passphrase')
      writeFileSync(passphrase, 'version 1')
      const args = bits === 0 ? [] : ['--key', `pwdfile=${passphrase},mode=aes-${bits}-cbc,kdf=sha512`]
      const tpm = await startPoweredTpm(t, args, { directory })
      await tpm.checkNv()
      await tpm.shutDown()
    })
  }

  it('do not open with another key, and stay as they are', async (t) => {
    const temporary = temporaryDirectory(t)
    const current = makeKey(key256, temporary, 'current')
    const { directory, file, bytes } = await makeState(t, current)
    const old = makeVersion1(plainOf(bytes, current), current.bytes)
    const reader = await startReader(t, directory, ['--key', makeKey(key256, temporary, 'other').byFile])
    writeFileSync(file, old)
    assert.equal(await reader.powerOn(), false)
    assert.match(reader.swtpm.stderr, /wrong key/)
    assert.deepEqual(readFileSync(file), old)
    for (const at of [10, 26, 42, old.length - 1]) {
      const damaged = Buffer.from(old)
      damaged[at]! ^= 1 << (randomBytes(1)[0]! % 8)
      writeFileSync(file, damaged)
      assert.equal(await reader.powerOn(), false)
    }
  })
})
