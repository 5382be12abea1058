/** What an engine that has been broken into may hand the CUSE front end: requests, and the number of the last one. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { HOST } from '../../../contract/struct.ts'
import { CuseServer } from '../../../src/cuse/cuse-server.ts'
import {
  FUSE_IOCTL,
  FUSE_READ,
  FUSE_WRITE,
  fuseInHeader,
  fuseOutHeader,
  fuseReadIn,
} from '../../../src/cuse/fuse-protocol.ts'
import type { Tpm } from '../../../src/tpm/tpm.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'

/** Answered at once, with ENOSYS. */
const UNKNOWN = 9999

/** A server whose device is a file, in which its answers are. */
class Trial {
  /** Changes no route, so a request that needs one waits. */
  readonly engine = Object.assign(new EventEmitter(), {
    lastFuseRequest: () => this.last,
    setRoute: () => new Promise(() => {}),
  })
  readonly #path: string
  last = 0n

  constructor(t: TestContext) {
    this.#path = join(temporaryDirectory(t), 'device')
    const fd = openSync(this.#path, 'a')
    t.after(() => closeSync(fd))
    // The server asks it for nothing else here.
    const tpm = { engine: this.engine } as unknown as Tpm
    new CuseServer({ tpm, fd, mayControl: () => true, onShutdown() {} })
  }

  request(unique: bigint, opcode: number, bytes = fuseReadIn.size, lies = 0): void {
    const body = Buffer.alloc(bytes)
    const len = fuseInHeader.size + body.length + lies
    const header = { len, opcode, unique, nodeid: 0n, uid: 0, gid: 0, pid: 0, padding: 0 }
    this.engine.emit('fuseRequest', Buffer.concat([fuseInHeader.encode(header, HOST), body]))
  }

  /** The numbers of the requests that were answered. */
  get answered(): bigint[] {
    const bytes = readFileSync(this.#path)
    const { size } = fuseOutHeader
    return Array.from(
      { length: bytes.length / size },
      (_, i) => fuseOutHeader.decode(bytes.subarray(i * size), HOST).unique,
    )
  }
}

describe('requests of an engine', () => {
  it('are answered, each once', async (t) => {
    const trial = new Trial(t)
    trial.request(4n, UNKNOWN)
    trial.request(6n, UNKNOWN)
    await turn()
    assert.deepEqual(trial.answered, [4n, 6n])
  })

  it('are refused where they cannot be, as a breach of the protocol', (t) => {
    const trial = new Trial(t)
    assert.throws(() => trial.request(0n, FUSE_READ), RangeError)
    trial.request(2n, FUSE_READ)
    assert.throws(() => trial.request(2n, FUSE_READ), RangeError)
    // No request of the kernel is as short, or as long, or has another length than it says.
    for (const opcode of [FUSE_IOCTL, FUSE_READ, FUSE_WRITE])
      for (const bytes of [0, 3, 31, 70_000])
        assert.throws(() => trial.request(4n, opcode, bytes), RangeError, `${opcode} of ${bytes}`)
    assert.throws(() => trial.request(4n, FUSE_READ, 40, 1), RangeError)
    assert.deepEqual(trial.answered, [])
  })

  it('are refused where there are too many', (t) => {
    const trial = new Trial(t)
    for (let i = 1n; i <= 256n; i++) trial.request(2n * i, FUSE_READ)
    assert.deepEqual(trial.answered, [])
    trial.request(514n, FUSE_READ)
    assert.deepEqual(trial.answered, [514n])
  })
})

describe('the end of an engine', () => {
  it('fails the requests that it had read', (t) => {
    const trial = new Trial(t)
    trial.last = 10n
    trial.engine.emit('engineDied')
    assert.deepEqual(trial.answered.slice(0, 5), [2n, 4n, 6n, 8n, 10n])
  })

  it('fails none where the number that it has left cannot be', (t) => {
    const trial = new Trial(t)
    for (const last of [2n ** 64n - 10n, 2n ** 64n - 1n, 2n ** 63n]) {
      trial.last = last
      trial.engine.emit('engineDied')
    }
    assert.deepEqual(trial.answered, [])
  })
})
