/**
 * ioctls of every number and size on a CUSE TPM, state blobs in pieces in any order, reads and writes in between, clients
 * that are killed. What is no verb gets EINVAL, what is one gets its answer, and the next client has a TPM that works.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { ioctlNumber, ioctlSize, VERBS, type VerbName, verbNames } from '../../contract/verbs.ts'
import { EDGES, mutate, type Random } from '../fuzz/random.ts'
import { fuzz, settled } from '../fuzz/rounds.ts'
import { figure } from '../hard/support/scale.ts'
import { DeviceHandle, startCuseTpm } from '../support/cuse-tpm.ts'
import { IS_ASLEEP_FORM } from '../support/rest.ts'
import type { Swtpm } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const OPERATIONS_PER_ROUND = IS_ASLEEP_FORM ? 10 : 400
/** The largest argument that an ioctl number can name, and one more byte. */
const ARGUMENT_BYTES = 1 << 14
/** SET_DATAFD has a number, and is no ioctl; SHUTDOWN ends everything. */
const NAMES = verbNames.filter((name) => name !== 'SET_DATAFD' && name !== 'SHUTDOWN')
const NUMBERS = new Set(verbNames.filter((name) => name !== 'SET_DATAFD').map(ioctlNumber))
const CAPABILITIES = 0x16fff

const TPM_BAD_ORDINAL = 0xa
const TPM_BAD_LOCALITY = 0x3d
const HIGHEST_LOCALITY = 4

/** errno names that a call may end with. */
type Errno = string | undefined

function attempt<T>(call: () => T): { readonly value?: T; readonly code?: Errno } {
  try {
    return { value: call() }
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code }
  }
}

/** An ioctl number that is no verb's, but like one. */
function strangeNumber(random: Random): number {
  for (;;) {
    const size = random.chance(0.5) ? random.below(ARGUMENT_BYTES) : random.pick(EDGES) % ARGUMENT_BYTES
    const type = random.chance(0.8) ? 0x50 : random.pick([0x4f, 0x51, 0xa1, 0xff])
    const nr = random.chance(0.8) ? random.below(20) : random.below(256)
    const number = ((random.below(4) << 30) | (size << 16) | (type << 8) | nr) >>> 0
    if (!NUMBERS.has(number)) return number
  }
}

/** One client of the device, and what is known about the TPM. */
class Client {
  readonly #random: Random
  readonly #path: string
  readonly #blobs: Buffer[] = []
  #device: DeviceHandle
  #running = true
  /** A transfer of a state blob may be under way, during which read() and write() are different. */
  #transferring = false
  /** A command may still run: write() returns when it begins, and no read() has waited for its response. */
  #busy = false
  /** The response to a command that takes long, waited for on another thread. */
  #later: Promise<unknown> | undefined

  constructor(random: Random, path: string) {
    this.#random = random
    this.#path = path
    this.#device = new DeviceHandle(path)
  }

  async step(): Promise<void> {
    const random = this.#random
    switch (random.below(12)) {
      case 0:
      case 1:
        this.#strangeIoctl()
        break
      case 2:
        this.#write()
        break
      case 3:
        this.#read()
        break
      case 4:
        await this.#slowCommand()
        break
      case 5:
        if (random.chance(0.2)) await this.#reopen()
        break
      case 6:
        if (random.chance(0.05)) await this.#killedClient()
        break
      default:
        this.#verb(random.pick(NAMES))
    }
  }

  /** A new client, which must find everything in order. */
  async end(): Promise<void> {
    await this.#reopen()
    const device = this.#device
    assert.equal(device.verb('STOP').tpmResult, 0)
    // State that was set before and does not fit spoils one power-on, not the next.
    device.verb('SET_LOCALITY', { loc: 0 })
    const init = (): number => device.verb('INIT', { initFlags: 1 }).tpmResult
    assert.equal(init() && init(), 0, 'the result of INIT')
    const started = responseCode(device.command(TPM2.startupClear))
    assert.ok([0, 0x100].includes(started), `Startup: response code 0x${started.toString(16)}`)
    const response = device.command(TPM2.getRandom())
    assert.equal(responseCode(response), 0)
    assert.equal(response.length, 20)
  }

  /** PTM_SHUTDOWN: the last thing that a client can ask for. */
  shutdown(): void {
    assert.equal(this.#device.verb('SHUTDOWN').tpmResult, 0)
    this.close()
  }

  close(): void {
    attempt(() => this.#device.close())
  }

  #strangeIoctl(): void {
    const number = strangeNumber(this.#random)
    const { code } = attempt(() => this.#device.raw(number, this.#random.bytes(ARGUMENT_BYTES)))
    assert.equal(code, 'EINVAL', `ioctl ${number.toString(16)}`)
  }

  #verb(name: VerbName): void {
    const argument = this.#argument(name)
    const expected = this.#expected(name, argument)
    this.#device.raw(ioctlNumber(name), argument)
    const result = argument.readUInt32LE()
    if (expected !== undefined) assert.equal(result, expected, `the result of ${name}`)
    if (name === 'STOP') this.#running = false
    else if (name === 'INIT') {
      this.#running = result === 0
      // Most of what follows needs a TPM that has been started up.
      if (this.#running && this.#random.chance(0.8)) this.#command(TPM2.startupClear)
    } else if (name === 'GET_STATEBLOB' || name === 'SET_STATEBLOB') {
      this.#transferring = true
      if (name === 'GET_STATEBLOB' && result === 0) this.#keepBlob(argument)
    }
  }

  /** The first word of the answer, where that is known without asking the TPM. */
  #expected(name: VerbName, argument: Buffer): number | undefined {
    if (name === 'GET_CAPABILITY') return CAPABILITIES
    // A transfer goes on with what it has, so that more than the run state counts.
    if (name === 'GET_STATEBLOB' || name === 'SET_STATEBLOB') return undefined
    if (VERBS[name].when === 'running' && !this.#running) return TPM_BAD_ORDINAL
    const tooHigh = argument.readUInt8() > HIGHEST_LOCALITY
    switch (name) {
      case 'SET_LOCALITY':
        return tooHigh ? TPM_BAD_LOCALITY : 0
      case 'RESET_TPMESTABLISHED':
        return tooHigh ? TPM_BAD_LOCALITY : undefined
      case 'GET_TPMESTABLISHED':
      case 'CANCEL_TPM_CMD':
      case 'GET_CONFIG':
      case 'STOP':
        return 0
      default:
        return undefined
    }
  }

  #keepBlob(answer: Buffer): void {
    const length = answer.readUInt32LE(12)
    assert.ok(length <= 3072, `${length} bytes of a blob in one ioctl`)
    this.#blobs.push(Buffer.from(answer.subarray(16, 16 + length)))
    if (this.#blobs.length > 8) this.#blobs.shift()
  }

  /** Where a request can be sensible, it mostly is. */
  #argument(name: VerbName): Buffer {
    const random = this.#random
    const argument = random.chance(0.3) ? random.bytes(ioctlSize(name)) : Buffer.alloc(ioctlSize(name))
    if (random.chance(0.1)) return argument
    switch (name) {
      case 'INIT':
        argument.writeUInt32LE(random.below(2))
        break
      case 'SET_LOCALITY':
      case 'RESET_TPMESTABLISHED':
        argument.writeUInt8(random.below(7))
        break
      case 'HASH_DATA':
        argument.writeUInt32LE(random.pick(EDGES))
        break
      case 'GET_STATEBLOB':
        argument.writeUInt32LE(random.below(2))
        argument.writeUInt32LE(1 + random.below(3), 4)
        argument.writeUInt32LE(random.pick([0, 0, 1, 3072, 6144, ...EDGES]), 8)
        break
      case 'SET_STATEBLOB': {
        let data = this.#blobs.length > 0 ? random.pick(this.#blobs) : random.bytes(random.below(3073))
        if (random.chance(0.3)) data = mutate(random, data).subarray(0, 3072)
        argument.writeUInt32LE(random.pick([0, 0, 2]))
        argument.writeUInt32LE(1 + random.below(3), 4)
        argument.writeUInt32LE(random.chance(0.8) ? data.length : random.pick(EDGES), 8)
        argument.set(data, 12)
        break
      }
      case 'SET_BUFFERSIZE':
        argument.writeUInt32LE(random.pick([0, 4096, ...EDGES]))
        break
      case 'GET_INFO':
        argument.writeBigUInt64LE(BigInt(random.below(256)))
        argument.writeUInt32LE(random.pick([0, 0, ...EDGES]), 8)
        break
      case 'LOCK_STORAGE':
        argument.writeUInt32LE(random.below(3))
        break
      default:
    }
    return argument
  }

  #write(): void {
    const random = this.#random
    this.#command(
      random.pick([
        () => TPM2.getRandom(),
        () => TPM2.pcrRead(random.below(24)),
        () => TPM2.nvDefine(),
        () => TPM2.nvWrite(random.bytes(32)),
        () => mutate(random, TPM2.nvRead()),
        () => mutate(random, TPM2.getRandom(random.below(65536))),
        () => random.bytes(random.pick([1, 9, 10, 4095, 4096, 4097, 65536, 70000])),
      ])(),
    )
  }

  #command(bytes: Buffer): void {
    if (bytes.length === 0) return
    const { value, code } = attempt(() => this.#device.write(bytes))
    if (code === 'EBUSY') assert.ok(this.#busy, 'EBUSY, and no command runs')
    else if (code === 'EIO') this.#endOfTransfer('write()')
    else assert.equal(code, undefined, 'write()')
    if (code !== undefined) return
    this.#busy = true
    // What is longer than a command is taken in pieces of that length, until one finds the TPM busy.
    const taken = value as number
    assert.ok(
      taken === bytes.length || this.#transferring || taken % 4096 === 0,
      `write() took ${taken} bytes`,
    )
  }

  #read(): void {
    const { value, code } = attempt(() => this.#device.read(this.#random.pick([1, 9, 10, 100, 4096, 70000])))
    if (code === 'EIO') this.#endOfTransfer('read()')
    else {
      assert.ok(value, `read(): ${code}`)
      this.#busy = false
    }
  }

  #endOfTransfer(call: string): void {
    assert.ok(this.#transferring, `${call} ends with EIO although no blob is transferred`)
    this.#transferring = false
  }

  async #slowCommand(): Promise<void> {
    if (this.#later) {
      await settled('a read() that waits', this.#later)
      this.#later = undefined
    } else if (!this.#transferring && this.#random.chance(0.2)) {
      this.#command(TPM2.createPrimaryRsa(2048, this.#random.bytes(8)))
      // The transfer that a verb begins meanwhile may be what it reads of.
      this.#later = this.#device.readLater().catch(() => {})
    }
  }

  async #reopen(): Promise<void> {
    assert.equal(attempt(() => new DeviceHandle(this.#path).close()).code, 'EBUSY', 'a second open()')
    await settled('a read() that waits', this.#later ?? Promise.resolve())
    this.#device.close()
    await this.#open()
  }

  /** A client that dies after the command it has sent, and leaves its response behind. */
  async #killedClient(): Promise<void> {
    await settled('a read() that waits', this.#later ?? Promise.resolve())
    this.#device.close()
    await waitFor(() => attempt(() => new DeviceHandle(this.#path).close()).code === undefined, {
      what: 'the device to be free',
    })
    const command = TPM2.createPrimaryRsa(2048, this.#random.bytes(8)).toString('hex').replace(/../g, '\\x$&')
    const script = 'exec 3<>"$1"; printf "$2" >&3; kill -9 $$'
    const { signal } = spawnSync('bash', ['-c', script, 'bash', this.#path, command])
    assert.equal(signal, 'SIGKILL')
    await this.#open()
  }

  /** The kernel tells of the end of the client before only after its close() has returned. */
  async #open(): Promise<void> {
    this.#later = undefined
    this.#transferring = false
    this.#busy = true
    const what = 'the device to be free'
    const opened = await waitFor(() => attempt(() => new DeviceHandle(this.#path)).value, { what })
    this.#device = opened as DeviceHandle
  }
}

function assertWell(swtpm: Swtpm): void {
  assert.ok(swtpm.running, `swtpm has ended: ${swtpm.stderr}`)
  assert.doesNotMatch(swtpm.stderr, /internal error|Cannot serve|engine has ended/)
}

describe('a CUSE TPM whose client does anything', () => {
  it('answers every call', async () => {
    let operations = 0
    const rounds = await fuzz(2, async (random, t) => {
      const { swtpm, path } = await startCuseTpm(t, ['--tpm2', '--flags', 'startup-clear'])
      const client = new Client(random, path)
      t.after(() => client.close())
      for (let i = 0; i < OPERATIONS_PER_ROUND; i++) {
        operations++
        try {
          await client.step()
        } catch (error) {
          throw new Error(`operation ${i}: ${(error as Error).message}; ${swtpm.stderr}`, { cause: error })
        }
      }
      await client.end()
      assertWell(swtpm)
      if (random.chance(0.5)) client.shutdown()
      else client.close()
      assert.equal(await settled('the end of swtpm', swtpm.stop()), 0, swtpm.stderr)
    })
    figure(
      'Fuzzer: CUSE device',
      `${rounds} rounds, ${operations} calls: no crash, no hang, every one answered`,
    )
  })
})
