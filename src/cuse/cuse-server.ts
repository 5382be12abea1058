/**
 * The CUSE front end: answers the FUSE requests that the engine leaves to the supervisor, the ioctls and, while a state
 * blob is being transferred, read() and write(). TPM commands never come here; the engine pumps them itself.
 */
import { constants } from 'node:os'
import { HOST } from '../../contract/struct.ts'
import { isFault } from '../system/fault.ts'
import { guarded } from '../system/guard.ts'
import { log } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { StateblobTransfer } from '../tpm/stateblob-transfer.ts'
import type { Tpm } from '../tpm/tpm.ts'
import {
  FUSE_IOCTL,
  FUSE_READ,
  FUSE_WRITE,
  fuseInHeader,
  fuseIoctlIn,
  fuseIoctlOut,
  fuseReadIn,
  fuseWriteIn,
  fuseWriteOut,
  MAX_TRANSFER_BYTES,
} from './fuse-protocol.ts'
import { FuseReply } from './fuse-reply.ts'
import { ptmIoctl } from './ptm-ioctls.ts'

const { EBUSY, EINVAL, EIO, ENOSYS, EPERM } = constants.errno

const UNIQUE_STEP = 2n
/** The kernel counts up from a small number: one beyond this is none of its own. */
const MAX_UNIQUE = 2n ** 62n
/** A device has one client, with some threads at most. What they ask beyond is refused, so that little is kept. */
const MAX_SERVING = 256
/** A request has no more: a write, whose bytes CUSE_INIT limits, or an ioctl. */
const MAX_REQUEST_BYTES = fuseInHeader.size + fuseWriteIn.size + MAX_TRANSFER_BYTES
/** A client that waits longer than for so many other requests is found by its interruption. */
const REQUESTS_BACK = 1024n
const REQUESTS_AHEAD = 16n

/** Without the bytes that follow. */
const BODY_SIZES: Readonly<Record<number, number>> = {
  [FUSE_IOCTL]: fuseIoctlIn.size,
  [FUSE_READ]: fuseReadIn.size,
  [FUSE_WRITE]: fuseWriteIn.size,
}

export interface CuseServerOptions {
  readonly tpm: Tpm
  /** Our descriptor of the device, on which the answers are written. */
  readonly fd: number
  /** Whether the PTM verbs are for a process of this user. */
  mayControl(uid: number): boolean
  /** PTM_SHUTDOWN has been executed and answered. */
  onShutdown(): void
}

export class CuseServer {
  readonly #options: CuseServerOptions
  readonly #transfer: StateblobTransfer
  /** The requests that are ours to answer, by number. */
  readonly #serving = new Set<bigint>()
  /** Verbs that are not urgent run one after the other. */
  #tail: Promise<void> = Promise.resolve()

  readonly #onRequest = (request: Buffer): void => this.#admit(request)
  readonly #onEngineDied = (): void => this.#failLostRequests()
  readonly #onClientClosed = (): void => this.#transfer.abandon()

  constructor(options: CuseServerOptions) {
    this.#options = options
    this.#transfer = new StateblobTransfer(options.tpm)
    const { engine } = options.tpm
    engine.on('fuseRequest', this.#onRequest)
    engine.on('engineDied', this.#onEngineDied)
    engine.on('clientClosed', this.#onClientClosed)
  }

  /** The device goes: its requests are no more ours to answer. */
  close(): void {
    const { engine } = this.#options.tpm
    engine.off('fuseRequest', this.#onRequest)
    engine.off('engineDied', this.#onEngineDied)
    engine.off('clientClosed', this.#onClientClosed)
  }

  /** No request is being answered, and no state blob is being transferred. */
  get idle(): boolean {
    return this.#serving.size === 0 && this.#transfer.mode === 'command'
  }

  /** @throws RangeError where no engine that is in order would hand one on twice, or one that is none of the kernel's */
  #admit(request: Buffer): void {
    const { len, opcode, unique, uid } = fuseInHeader.decode(request, HOST)
    if (
      len !== request.length ||
      len > MAX_REQUEST_BYTES ||
      len < fuseInHeader.size + (BODY_SIZES[opcode] ?? 0)
    )
      throw new RangeError(`FUSE request ${opcode} of ${request.length} bytes`)
    if (unique === 0n || this.#serving.has(unique))
      throw new RangeError(`FUSE request ${unique}, which cannot be`)
    if (this.#serving.size >= MAX_SERVING) {
      new FuseReply(this.#options.fd, unique).error(EBUSY)
      return
    }
    this.#serving.add(unique)
    guarded(this.#serve(opcode, unique, uid, request))
  }

  async #serve(opcode: number, unique: bigint, uid: number, request: Buffer): Promise<void> {
    const reply = new FuseReply(this.#options.fd, unique)
    const body = request.subarray(fuseInHeader.size)
    try {
      switch (opcode) {
        case FUSE_IOCTL:
          if (this.#options.mayControl(uid)) await this.#ioctl(body, reply)
          else reply.error(EPERM)
          break
        case FUSE_READ:
          await this.#read(body, reply)
          break
        case FUSE_WRITE:
          await this.#write(body, reply)
          break
        default:
          reply.error(ENOSYS)
      }
    } catch (error) {
      log.error(`Cannot serve a request on the device: ${reasonOf(error)}`)
      if (!reply.sent) reply.error(EIO)
      // Our own faults must not pass as the client's.
      if (!isFault(error)) throw error
    } finally {
      this.#serving.delete(unique)
    }
  }

  /**
   * Answers requests that the engine had read before it died: reads that wait for a response, above all. The
   * kernel counts requests in steps of two, and says ENOENT for those that are not waiting for an answer.
   */
  #failLostRequests(): void {
    const { fd, tpm } = this.#options
    // The engine that has left this number may have been broken into.
    const last = tpm.engine.lastFuseRequest()
    if (last > MAX_UNIQUE) return
    const first = last > REQUESTS_BACK * UNIQUE_STEP ? last - REQUESTS_BACK * UNIQUE_STEP : UNIQUE_STEP
    // It may have been killed before it noted the last one.
    for (let unique = first; unique <= last + REQUESTS_AHEAD * UNIQUE_STEP; unique += UNIQUE_STEP) {
      if (!this.#serving.has(unique)) new FuseReply(fd, unique).error(EIO)
    }
  }

  async #ioctl(body: Buffer, reply: FuseReply): Promise<void> {
    const { cmd, inSize, outSize } = fuseIoctlIn.decode(body, HOST)
    const argument = body.subarray(fuseIoctlIn.size, fuseIoctlIn.size + inSize)
    const ioctl = ptmIoctl(cmd, argument, outSize)
    if (ioctl === undefined) return reply.error(EINVAL)
    const { tpm } = this.#options
    const run = async (): Promise<void> => {
      const answer = await ioctl.execute(tpm, this.#transfer)
      if (ioctl.name === 'GET_STATEBLOB' || ioctl.name === 'SET_STATEBLOB') await this.#route()
      reply.data(fuseIoctlOut.encode({ result: 0, flags: 0, inIovs: 0, outIovs: 0 }, HOST), answer)
      if (ioctl.name === 'SHUTDOWN') this.#options.onShutdown()
    }
    if (ioctl.urgent) return run()
    const turn = this.#tail.then(run)
    this.#tail = turn.catch(() => {})
    await turn
  }

  /** read() while a blob is transferred: bytes of an outgoing one; an error ends an incoming one. */
  async #read(body: Buffer, reply: FuseReply): Promise<void> {
    const { size } = fuseReadIn.decode(body, HOST)
    if (this.#transfer.mode === 'get') {
      const data = this.#transfer.read(size)
      await this.#route()
      return reply.data(data)
    }
    await this.#fail(reply)
  }

  async #write(body: Buffer, reply: FuseReply): Promise<void> {
    const { size } = fuseWriteIn.decode(body, HOST)
    const data = body.subarray(fuseWriteIn.size, fuseWriteIn.size + size)
    if (this.#transfer.mode === 'set' && this.#transfer.write(data)) {
      return reply.data(fuseWriteOut.encode({ size: data.length, padding: 0 }, HOST))
    }
    await this.#fail(reply)
  }

  async #fail(reply: FuseReply): Promise<void> {
    this.#transfer.abandon()
    await this.#route()
    reply.error(EIO)
  }

  /** Where read() and write() go from now on: to us during a transfer, else straight to the TPM. */
  async #route(): Promise<void> {
    await this.#options.tpm.engine.setRoute(this.#transfer.mode === 'command' ? 'native' : 'supervisor')
  }
}
