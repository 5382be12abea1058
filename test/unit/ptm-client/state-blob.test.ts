import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Outcome, Request, VerbName } from '../../../contract/verbs.ts'
import type { BlobStream, PtmClient } from '../../../src/ptm-client/ptm-client.ts'
import { getStateBlob, setStateBlob } from '../../../src/ptm-client/state-blob.ts'

const CHUNK = 3072
const blobOf = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index % 251))

/** A TPM behind a device: it cuts blobs as swtpm_ioctls(3) says, and keeps a record of what it was asked. */
class FakeDevice implements PtmClient {
  readonly record: string[] = []
  blob: Buffer = Buffer.alloc(0)
  result = 0
  #offset = 0
  #incoming: Buffer[] | undefined
  readonly stream: BlobStream = {
    read: (size) => {
      const bytes = this.blob.subarray(this.#offset, this.#offset + size)
      this.#offset += bytes.length
      this.record.push(`read ${bytes.length}`)
      return bytes
    },
    write: (bytes) => {
      this.#incoming?.push(bytes)
      this.record.push(`write ${bytes.length}`)
    },
  }

  async call<V extends VerbName>(verb: V, request: Request<V>): Promise<Outcome<V>> {
    const outcome =
      verb === 'GET_STATEBLOB'
        ? this.#get(request as Request<'GET_STATEBLOB'>)
        : this.#set(request as Request<'SET_STATEBLOB'>)
    return outcome as Outcome<V>
  }

  #get({ offset }: Request<'GET_STATEBLOB'>): Outcome<'GET_STATEBLOB'> {
    if (this.result !== 0) return { tpmResult: this.result }
    const data = this.blob.subarray(offset, offset + CHUNK)
    this.#offset = offset + data.length
    this.record.push(`get ${offset}`)
    return { tpmResult: 0, stateFlags: 0, totLength: this.blob.length, length: data.length, data }
  }

  #set({ data, length }: Request<'SET_STATEBLOB'>): Outcome<'SET_STATEBLOB'> {
    this.record.push(`set ${length}`)
    const begins = this.#incoming === undefined
    this.#incoming ??= []
    this.#incoming.push(data)
    if (length === CHUNK || (begins && length === 0)) return { tpmResult: 0 }
    this.blob = Buffer.concat(this.#incoming)
    this.#incoming = undefined
    return { tpmResult: this.result }
  }

  close(): void {}
}

describe('getStateBlob()', () => {
  const cases: readonly [length: number, streamChunk: number | undefined, record: readonly string[]][] = [
    [0, undefined, ['get 0']],
    [100, undefined, ['get 0']],
    [CHUNK, undefined, ['get 0']],
    [CHUNK + 1, undefined, ['get 0', `get ${CHUNK}`]],
    [70_000, undefined, Array.from({ length: 23 }, (_, index) => `get ${index * CHUNK}`)],
    [100, 10, ['get 0']],
    [CHUNK + 25, 10, ['get 0', 'read 10', 'read 10', 'read 5']],
    [CHUNK + 20, 10, ['get 0', 'read 10', 'read 10']],
    [CHUNK + 20, 4096, ['get 0', 'read 20']],
  ]
  for (const [length, streamChunk, record] of cases) {
    const how = streamChunk === undefined ? 'by ioctls' : `by read() of ${streamChunk} bytes`
    it(`takes ${length} bytes ${how}`, async () => {
      const device = new FakeDevice()
      device.blob = blobOf(length)
      const outcome = await getStateBlob(device, 'permanent', streamChunk)
      assert.deepEqual(outcome, { blob: blobOf(length) })
      assert.deepEqual(device.record, record)
    })
  }

  it('has an empty blob where the TPM has none, which is no failure', async () => {
    const device = new FakeDevice()
    device.result = 0x800
    assert.deepEqual(await getStateBlob(device, 'savestate'), { blob: Buffer.alloc(0) })
  })

  it('passes a refusal on', async () => {
    const device = new FakeDevice()
    device.result = 0x0a
    assert.deepEqual(await getStateBlob(device, 'volatile'), { tpmResult: 0x0a })
  })

  it('does not wait for ever for bytes that never come', async () => {
    const endless: PtmClient = {
      call: async () =>
        ({ tpmResult: 0, stateFlags: 0, totLength: 10, length: 0, data: Buffer.alloc(0) }) as never,
      close: () => {},
    }
    await assert.rejects(getStateBlob(endless, 'permanent'), /broke off .* after 0 of 10 bytes/)
  })
})

describe('setStateBlob()', () => {
  const cases: readonly [length: number, streamChunk: number | undefined, record: readonly string[]][] = [
    [100, undefined, ['set 100']],
    [CHUNK, undefined, [`set ${CHUNK}`, 'set 0']],
    [CHUNK + 1, undefined, [`set ${CHUNK}`, 'set 1']],
    [25, 10, ['set 0', 'write 10', 'write 10', 'write 5', 'set 0']],
    [20, 10, ['set 0', 'write 10', 'write 10', 'set 0']],
    [0, 10, ['set 0', 'set 0']],
  ]
  for (const [length, streamChunk, record] of cases) {
    const how = streamChunk === undefined ? 'by ioctls' : `by write() of ${streamChunk} bytes`
    it(`gives ${length} bytes ${how}`, async () => {
      const device = new FakeDevice()
      assert.equal(await setStateBlob(device, 'permanent', blobOf(length), streamChunk), 0)
      assert.deepEqual(device.blob, blobOf(length))
      assert.deepEqual(device.record, record)
    })
  }

  it('gives everything at once where there is no read() and write()', async () => {
    const requests: unknown[] = []
    const socket: PtmClient = {
      call: async (_verb, request) => {
        requests.push(request)
        return { tpmResult: 0x0d } as never
      },
      close: () => {},
    }
    assert.equal(await setStateBlob(socket, 'volatile', blobOf(7000), 100), 0x0d)
    assert.deepEqual(requests, [{ stateFlags: 0, type: 2, length: 7000, data: blobOf(7000) }])
  })
})
