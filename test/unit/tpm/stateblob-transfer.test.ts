import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import type { EngineClient } from '../../../src/engine-client/engine-client.ts'
import { StorageLock } from '../../../src/tpm/state/storage-lock.ts'
import { StateblobTransfer } from '../../../src/tpm/stateblob-transfer.ts'
import { Tpm } from '../../../src/tpm/tpm.ts'

/** An engine that holds one blob and remembers what was set; the rules under test are the transfer's. */
function tpmWith(blob: Buffer): {
  tpm: Tpm
  set: { data: Buffer; stateFlags: number }[]
  gets: () => number
} {
  const set: { data: Buffer; stateFlags: number }[] = []
  let gets = 0
  const engine = {
    on() {},
    setStorage: async () => 0,
    async verb(name: string, request: Record<string, never>) {
      if (name === 'GET_STATEBLOB') {
        gets++
        return { tpmResult: 0, stateFlags: 2, totLength: blob.length, length: blob.length, data: blob }
      }
      if (name === 'SET_STATEBLOB') set.push(request as never)
      return { tpmResult: 0 }
    },
  } as unknown as EngineClient
  const tpm = new Tpm(engine, StorageLock.none(), { version: '2', incomingMigration: false })
  return { tpm, set, gets: () => gets }
}

const blob = Buffer.from(Array.from({ length: 8000 }, (_, i) => i & 0xff))

describe('StateblobTransfer.get()', () => {
  let transfer: StateblobTransfer
  let gets: () => number
  beforeEach(async () => {
    const made = tpmWith(blob)
    gets = made.gets
    await made.tpm.init(0)
    transfer = new StateblobTransfer(made.tpm)
  })
  const get = (offset: number) => transfer.get({ type: 1, stateFlags: 0, offset })

  it('gives 3072 bytes at a time by offset, from one snapshot', async () => {
    const parts: Buffer[] = []
    for (let offset = 0; offset < blob.length; ) {
      const part = await get(offset)
      assert.ok('data' in part)
      assert.equal(part.totLength, blob.length)
      assert.equal(part.stateFlags, 2)
      parts.push(part.data)
      offset += part.length
      assert.equal(transfer.mode, offset < blob.length ? 'get' : 'command')
    }
    assert.deepEqual(Buffer.concat(parts), blob)
    assert.equal(gets(), 1)
  })

  it('goes on by read() where the ioctl left off', async () => {
    const first = await get(0)
    assert.ok('data' in first)
    const rest: Buffer[] = []
    while (transfer.mode === 'get') rest.push(transfer.read(1000))
    assert.deepEqual(Buffer.concat([first.data, ...rest]), blob)
  })

  it('takes a new snapshot for offset 0', async () => {
    await get(0)
    await get(0)
    assert.equal(gets(), 2)
  })

  it('gives no bytes past the end', async () => {
    const part = await get(1 << 20)
    assert.ok('data' in part)
    assert.equal(part.length, 0)
  })
})

describe('StateblobTransfer.set()', () => {
  const send = (transfer: StateblobTransfer, data: Buffer) =>
    transfer.set({ type: 1, stateFlags: 2, length: data.length, data })

  it('sets the blob with the first piece that is not full', async () => {
    const { tpm, set } = tpmWith(blob)
    const transfer = new StateblobTransfer(tpm)
    for (let at = 0; at < blob.length; at += 3072) {
      assert.deepEqual(await send(transfer, blob.subarray(at, at + 3072)), { tpmResult: 0 })
    }
    assert.equal(transfer.mode, 'command')
    assert.deepEqual(
      set.map(({ data }) => data),
      [blob],
    )
    assert.equal(set[0]?.stateFlags, 2)
  })

  it('takes a blob whose length is a multiple of 3072, ended by an empty piece', async () => {
    const { tpm, set } = tpmWith(blob)
    const transfer = new StateblobTransfer(tpm)
    const even = blob.subarray(0, 6144)
    await send(transfer, even.subarray(0, 3072))
    await send(transfer, even.subarray(3072))
    assert.equal(set.length, 0)
    await send(transfer, Buffer.alloc(0))
    assert.deepEqual(
      set.map(({ data }) => data),
      [even],
    )
  })

  it('takes the bytes by write() after an empty first piece', async () => {
    const { tpm, set } = tpmWith(blob)
    const transfer = new StateblobTransfer(tpm)
    await send(transfer, Buffer.alloc(0))
    assert.equal(transfer.mode, 'set')
    assert.ok(transfer.write(blob))
    await send(transfer, Buffer.alloc(0))
    assert.deepEqual(
      set.map(({ data }) => data),
      [blob],
    )
  })

  it('refuses a piece that is too long, and a blob beyond any', async () => {
    const { tpm } = tpmWith(blob)
    const transfer = new StateblobTransfer(tpm)
    const long = { type: 1, stateFlags: 0, length: 3073, data: Buffer.alloc(3072) }
    assert.deepEqual(await transfer.set(long), { tpmResult: 3 })
    await send(transfer, Buffer.alloc(0))
    assert.ok(transfer.write(Buffer.alloc(512 * 1024)))
    assert.equal(transfer.write(Buffer.alloc(1)), false)
    assert.equal(transfer.mode, 'command')
  })

  it('is refused while the TPM runs', async () => {
    const { tpm } = tpmWith(blob)
    await tpm.init(0)
    assert.deepEqual(await send(new StateblobTransfer(tpm), blob.subarray(0, 10)), { tpmResult: 0x0a })
  })
})
