/** State blobs go back and forth between Debian's swtpm and ours, encrypted in every way, and damaged ones are refused. */

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { type ControlTpmOptions, startControlTpm } from '../support/control-tpm.ts'
import { type PoweredTpm, startPoweredTpm } from '../support/powered-tpm.ts'
import { AWAKE } from '../support/rest.ts'
import { decryptFields, FLAG, makeVersion1, parseFields, parseStateBlob, TAG } from '../support/state-blob.ts'
import { type Cleanup, REFERENCE_SWTPM, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'
import { type Key, keyForms, makeKey } from './key-forms.ts'

const withoutReference = existsSync(REFERENCE_SWTPM)
  ? false
  : `${REFERENCE_SWTPM} is missing: apt-get install swtpm`
const debian: ControlTpmOptions = { program: REFERENCE_SWTPM }

const PERMANENT = 1
const VOLATILE = 2
const SAVESTATE = 3
const DECRYPTED = 1
const ENCRYPTED = 2
const RETRY = '00000800'

const word = (value: number): string => value.toString(16).padStart(8, '0')

interface Saved {
  readonly type: number
  readonly stateFlags: number
  readonly bytes: Buffer
}

/** GET_STATEBLOB of all three, as QEMU asks. */
async function save({ vmm }: PoweredTpm, flags: number): Promise<Saved[]> {
  const saved: Saved[] = []
  for (const type of [PERMANENT, VOLATILE, SAVESTATE]) {
    const answer = Buffer.from(
      await vmm.controlWithData(`${CMD.GET_STATEBLOB} ${word(flags)} ${word(type)} 00000000`),
      'hex',
    )
    if (answer.toString('hex', 0, 4) === RETRY) continue
    assert.equal(answer.readUInt32BE(), 0)
    assert.equal(answer.readUInt32BE(8), answer.readUInt32BE(12), 'the whole blob at once')
    saved.push({ type, stateFlags: answer.readUInt32BE(4), bytes: answer.subarray(16) })
  }
  return saved
}

/** SET_STATEBLOB. @returns the result */
const load = (vmm: VmmClient, { type, stateFlags, bytes }: Saved): Promise<string> =>
  vmm.control(`0000000d ${word(stateFlags)} ${word(type)} ${word(bytes.length)} ${bytes.toString('hex')}`)

const event = Buffer.alloc(32, 5)

/** A TPM with something in NV memory and in PCR 16, and what its PCR is. */
async function startSource(
  t: Cleanup,
  args: readonly string[],
  options: ControlTpmOptions = {},
): Promise<{ tpm: PoweredTpm; pcr: Buffer }> {
  const tpm = await startPoweredTpm(t, args, options)
  await tpm.writeNv()
  assert.equal(responseCode(await tpm.command(TPM2.pcrExtend(16, event))), 0)
  return { tpm, pcr: await readPcr(tpm) }
}

/** The digest; the counter of changes before it counts differently over a migration. */
const readPcr = async (tpm: PoweredTpm): Promise<Buffer> =>
  (await tpm.command(TPM2.pcrRead(16))).subarray(-32)

/** Loads blobs into a new TPM and shows that it is the one they came from. */
async function arrive(
  t: Cleanup,
  saved: readonly Saved[],
  pcr: Buffer,
  args: readonly string[],
  options: ControlTpmOptions = {},
): Promise<PoweredTpm> {
  const tpm = await startPoweredTpm(t, args, {
    ...options,
    beforeInit: async (vmm) => {
      for (const blob of saved) assert.equal(await load(vmm, blob), '00000000')
    },
  })
  assert.deepEqual(await readPcr(tpm), pcr)
  await tpm.checkNv()
  return tpm
}

const form = (kind: string, bits: number) => keyForms.find((f) => f.kind === kind && f.bits === bits)!

/** File key and migration key, as far as there are any. */
function keysFor(t: Cleanup, [file, migration]: readonly [number, number]) {
  const directory = temporaryDirectory(t)
  const make = (bits: number, kind: string, name: string): Key | undefined =>
    bits === 0 ? undefined : makeKey(form(kind, bits), directory, name)
  const fileKey = make(file, 'pbkdf2', 'file')
  const migrationKey = make(migration, 'hex', 'migration')
  const args = [
    ...(fileKey === undefined ? [] : ['--key', fileKey.byFile]),
    ...(migrationKey === undefined ? [] : ['--migration-key', migrationKey.byFile]),
  ]
  return { fileKey, migrationKey, args }
}

/** Bits of file key and migration key, 0 for none, and the flags of GET_STATEBLOB. */
const combinations: readonly (readonly [bits: readonly [number, number], flags: number])[] = [
  [[0, 0], DECRYPTED],
  [[128, 0], 0],
  [[256, 0], DECRYPTED],
  [[0, 128], DECRYPTED],
  [[0, 256], 0],
  [[128, 128], 0],
  [[256, 256], 0],
  [[256, 256], DECRYPTED],
  [[256, 128], 0],
  [[128, 256], 0],
]
const describeKeys = ([file, migration]: readonly [number, number], flags: number): string =>
  `${file === 0 ? 'no file key' : `file key of ${file} bits`}, ` +
  `${migration === 0 ? 'no migration key' : `migration key of ${migration} bits`}, ` +
  `asked for ${flags === DECRYPTED ? 'decrypted' : 'as stored'}`

describe('state blobs', () => {
  for (const [bits, flags] of combinations) {
    const name = describeKeys(bits, flags)

    it(`are as the format has them: ${name}`, async (t) => {
      const { fileKey, migrationKey, args } = keysFor(t, bits)
      const { tpm } = await startSource(t, args)
      const stored = fileKey !== undefined && flags !== DECRYPTED
      for (const { bytes, stateFlags } of await save(tpm, flags)) {
        const blob = parseStateBlob(bytes)
        assert.equal(blob.totalLength, bytes.length)
        assert.equal(
          blob.flags,
          FLAG.migrationData |
            (stored ? FLAG.encrypted | (bits[0] === 256 ? FLAG.fileKey256 : 0) : 0) |
            (migrationKey === undefined
              ? 0
              : FLAG.migrationEncrypted | (bits[1] === 256 ? FLAG.migrationKey256 : 0)),
        )
        assert.equal(stateFlags, stored ? ENCRYPTED : 0)
        const outer = parseFields(blob.payload)
        const inner = parseFields(
          migrationKey === undefined
            ? (outer.get(TAG.migrationData) as Buffer)
            : decryptFields(migrationKey.bytes, outer, [
                TAG.encryptedMigrationData,
                TAG.ivEncryptedMigrationData,
              ]),
        )
        const plain = stored
          ? decryptFields(fileKey.bytes, inner, [TAG.encryptedData, TAG.ivEncryptedData])
          : (inner.get(TAG.data) as Buffer)
        assert.ok([0xab364723, 0x45637889].includes(plain.readUInt32BE(2)), plain.toString('hex', 0, 6))
      }
    })

    const withoutMixedSizes =
      bits[0] !== bits[1] && bits[0] * bits[1] > 0 && 'Debian’s cannot hand out blobs with keys of two sizes'
    for (const [from, to, source, target, skip] of [
      ['our TPM', 'ours', {}, {}, false],
      ["Debian's", 'ours', debian, {}, withoutReference || withoutMixedSizes],
      ['our TPM', "Debian's", {}, debian, withoutReference],
    ] as const) {
      it(`of ${from} come to life in ${to}: ${name}`, { skip }, async (t) => {
        const { args } = keysFor(t, bits)
        const { tpm, pcr } = await startSource(t, args, source)
        const saved = await save(tpm, flags)
        assert.deepEqual(
          saved.map(({ type }) => type),
          [PERMANENT, VOLATILE],
        )
        const arrived = await arrive(t, saved, pcr, args, target)
        await arrived.shutDown()
      })
    }
  }

  for (const [name, bits, flags, stateFlags] of [
    ['not encrypted', [0, 0], 0, 0],
    ['under the file key', [256, 0], FLAG.encrypted, ENCRYPTED],
    ['under the migration key', [0, 128], FLAG.migrationEncrypted, 0],
  ] as const) {
    for (const [whose, target, skip] of [
      ['ours', {}, false],
      ["Debian's swtpm", debian, withoutReference],
    ] as const) {
      it(`of version 1 come to life in ${whose}: ${name}`, { skip }, async (t) => {
        const { tpm, pcr } = await startSource(t, [])
        const { fileKey, migrationKey, args } = keysFor(t, bits)
        const old = (await save(tpm, DECRYPTED)).map(({ type, bytes }) => {
          const inner = parseFields(parseStateBlob(bytes).payload).get(TAG.migrationData) as Buffer
          const plain = parseFields(inner).get(TAG.data) as Buffer
          return { type, stateFlags, bytes: makeVersion1(plain, (fileKey ?? migrationKey)?.bytes, flags) }
        })
        await arrive(t, old, pcr, args, target)
      })
    }
  }

  it('without a migration key are taken by a TPM that has one: a setup gets its keys', async (t) => {
    const { tpm, pcr } = await startSource(t, [])
    const { args } = keysFor(t, [256, 256])
    await arrive(t, await save(tpm, DECRYPTED), pcr, args)
  })
})

/** A TPM of ours that is not powered on, to be offered blobs. */
async function startTarget(t: Cleanup, args: readonly string[], options: ControlTpmOptions = {}) {
  const { swtpm, controlPath } = await startControlTpm(t, ['--tpm2', ...args], options)
  return { swtpm, vmm: new VmmClient(t, controlPath) }
}

describe('a state blob that cannot be used', () => {
  it('is refused for want of the migration key, and for another one', async (t) => {
    const { args } = keysFor(t, [0, 256])
    const { tpm } = await startSource(t, args)
    const [permanent] = (await save(tpm, DECRYPTED)) as [Saved]
    for (const [others, message] of [
      [[], /no migration key was given/],
      [keysFor(t, [0, 256]).args, /wrong key/],
      [keysFor(t, [0, 128]).args, /it needs a 256 bit key, the given one has 128/],
    ] as const) {
      const { swtpm, vmm } = await startTarget(t, others)
      assert.notEqual(await load(vmm, permanent), '00000000')
      assert.match(swtpm.stderr, message)
      // What was there before is still good for a start.
      assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    }
  })

  it('is refused for want of the file key', async (t) => {
    const { args } = keysFor(t, [128, 0])
    const { tpm } = await startSource(t, args)
    const [permanent] = (await save(tpm, 0)) as [Saved]
    const { swtpm, vmm } = await startTarget(t, [])
    assert.notEqual(await load(vmm, permanent), '00000000')
    assert.match(swtpm.stderr, /no state key was given/)
  })

  for (const bits of [
    [256, 256],
    [128, 128],
    [0, 128],
    [128, 0],
  ] as const) {
    it(`is refused for a flipped bit, wherever it is: ${describeKeys(bits, 0)}`, async (t) => {
      const { args } = keysFor(t, bits)
      const { tpm, pcr } = await startSource(t, args)
      const saved = await save(tpm, 0)
      const permanent = saved[0] as Saved
      const { vmm } = await startTarget(t, args, { env: AWAKE })
      const accepted: string[] = []
      for (const [at, bit] of bitsToFlip(permanent.bytes)) {
        const damaged = Buffer.from(permanent.bytes)
        damaged[at]! ^= 1 << bit
        if ((await load(vmm, { ...permanent, bytes: damaged })) === '00000000') {
          accepted.push(`byte ${at}, bit ${bit}`)
        }
      }
      assert.deepEqual(accepted, [])
      await arrive(t, saved, pcr, args)
    })
  }
})

/** Every bit of the header; two of each byte near both ends, where tags, lengths, HMACs and IVs are; some between. */
function* bitsToFlip(bytes: Buffer): Generator<[at: number, bit: number]> {
  for (let at = 0; at < bytes.length; at++) {
    if (at < 16) for (let bit = 0; bit < 8; bit++) yield [at, bit]
    else if (at < 80 || at >= bytes.length - 80) for (const bit of [at % 8, (at + 4) % 8]) yield [at, bit]
    else if (at % 997 === 0) yield [at, at % 8]
  }
}
