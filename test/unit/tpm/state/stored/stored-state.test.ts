/** States that are read without a TPM: what our format modules make is what the tests' own rules say, and what is damaged is refused in words. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { newestState } from '../../../../../src/tpm/state/stored/journal.ts'
import {
  makeMigrationBlob,
  makeStoredState,
  openStateBlob,
} from '../../../../../src/tpm/state/stored/state-blob.ts'
import { StateFault } from '../../../../../src/tpm/state/stored/state-fault.ts'
import {
  decryptFields,
  makeVersion1,
  parseFields,
  parseStateBlob,
  TAG,
} from '../../../../support/state-blob.ts'

const PLAIN = Buffer.from('what libtpms has written, of some length or other')
const KEYS = [undefined, Buffer.alloc(16, 0x5a), Buffer.alloc(32, 0xa5)]
const sizeOf = (key: Buffer | undefined): string => (key === undefined ? 'no key' : `${key.length * 8} bits`)

/** @returns the fault, and fails for anything else that is thrown */
function faultOf(action: () => unknown): StateFault | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    assert.ok(error instanceof StateFault, `a fault in words, not ${error}`)
    assert.match(error.message, /^[a-z]/, 'it goes on behind "Cannot use state …:"')
    return error
  }
}

for (const key of KEYS) {
  describe(`a stored state, ${sizeOf(key)}`, () => {
    const blob = makeStoredState(PLAIN, key)

    it('is what the format says, and opens', () => {
      const { version, minimumVersion, payload } = parseStateBlob(blob)
      assert.deepEqual([version, minimumVersion], [2, 1])
      const fields = parseFields(payload)
      const plain =
        key === undefined
          ? fields.get(TAG.data)
          : decryptFields(key, fields, [TAG.encryptedData, TAG.ivEncryptedData])
      assert.deepEqual(plain, PLAIN)
      assert.deepEqual(openStateBlob(blob, { file: key }), PLAIN)
    })

    it('is refused in words at every length but its own', () => {
      for (let length = 0; length < blob.length; length++)
        assert.equal(faultOf(() => openStateBlob(blob.subarray(0, length), { file: key }))?.kind, 'damaged')
      assert.equal(
        faultOf(() => openStateBlob(Buffer.concat([blob, Buffer.alloc(1)]), { file: key }))?.kind,
        'damaged',
      )
    })

    it('with any byte changed it is refused in words, or says the same or other bytes where nothing protects them', () => {
      for (let at = 0; at < blob.length; at++) {
        const other = Buffer.from(blob)
        other[at]! ^= 0x41
        const fault = faultOf(() => openStateBlob(other, { file: key }))
        if (key !== undefined && at >= 10) assert.ok(fault, `byte ${at}`)
      }
    })

    it('needs this key', () => {
      if (key === undefined) return
      assert.equal(faultOf(() => openStateBlob(blob, {}))?.kind, 'key')
      assert.equal(faultOf(() => openStateBlob(blob, { file: randomBytes(key.length) }))?.kind, 'key')
      assert.equal(faultOf(() => openStateBlob(blob, { file: randomBytes(48 - key.length) }))?.kind, 'key')
    })

    it('of version 1 opens, too', () => {
      assert.deepEqual(openStateBlob(makeVersion1(PLAIN, key, key && 1), { file: key }), PLAIN)
    })
  })
}

it('a migration blob opens', () => {
  assert.deepEqual(openStateBlob(makeMigrationBlob(PLAIN), {}), PLAIN)
})

describe('the newest state', () => {
  const slotBytes = 16 * 1024
  const marked = Buffer.from(makeStoredState(PLAIN, undefined))
  marked[1] = 3
  const blobs = [1, 2, 3].map((n) => makeStoredState(Buffer.from(`state ${n}`), undefined))
  const entry = (number: number, blob: Buffer, base: Buffer = marked): Buffer => {
    const slot = Buffer.alloc(slotBytes)
    slot.write('swtpmjrn')
    slot.writeBigUInt64BE(BigInt(number), 40)
    createHash('sha256').update(base).digest().copy(slot, 48)
    slot.writeUInt32BE(blob.length, 80)
    blob.copy(slot, 88)
    createHash('sha256')
      .update(slot.subarray(40, 88 + blob.length))
      .digest()
      .copy(slot, 8)
    return slot
  }
  const journal = Buffer.concat([entry(2, blobs[1]!), entry(3, blobs[2]!)])

  it('is in the file where that is not marked', () => {
    assert.deepEqual(newestState(blobs[0]!, journal), { blob: blobs[0], from: 'file' })
  })
  it('is the entry with the highest number', () => {
    assert.deepEqual(newestState(marked, journal), { blob: blobs[2], from: 'journal' })
  })
  it('is the entry before one that was cut off', () => {
    const cut = Buffer.concat([entry(2, blobs[1]!), entry(3, blobs[2]!).fill(0, 100)])
    assert.deepEqual(newestState(marked, cut), { blob: blobs[1], from: 'journal' })
  })
  it('is in the file where the power failed before the first entry was whole', () => {
    assert.deepEqual(newestState(marked, Buffer.alloc(2 * slotBytes)).blob, makeStoredState(PLAIN, undefined))
  })
  it('is lost with the journal, with one of another file, and with one that is damaged', () => {
    const foreign = Buffer.concat([entry(2, blobs[1]!, blobs[0]), entry(3, blobs[2]!, blobs[0])])
    for (const [broken, words] of [
      [undefined, /is missing/],
      [foreign, /belongs to another/],
      [Buffer.alloc(2 * slotBytes, 1), /is damaged/],
      [journal.subarray(0, 100), /too few/],
    ] as const)
      assert.match(faultOf(() => newestState(marked, broken))?.message ?? '', words)
  })
})
