/**
 * State blobs in pieces, as the ioctls and the device's read() and write() move them.
 *
 * A transfer out begins with GET_STATEBLOB; more ioctls or read() take the rest. A transfer in begins with SET_STATEBLOB;
 * more ioctls or write() bring the rest, and an ioctl with fewer than PTM_STATE_BLOB_SIZE bytes of data ends it. Between them the device takes no TPM commands.
 * @see swtpm_ioctls(3) PTM_GET_STATEBLOB, PTM_SET_STATEBLOB
 */
import { MAX_STATE_BLOB_BYTES } from '../../contract/limits.ts'
import { TPM_BAD_PARAMETER, TPM_SUCCESS } from '../../contract/tpm-result.ts'
import { PTM_STATE_BLOB_SIZE } from '../../contract/verb-structures.ts'
import type { Outcome, Request } from '../../contract/verbs.ts'
import type { Tpm } from './tpm.ts'
import { execute } from './verb-handlers.ts'

interface Outgoing {
  readonly type: number
  readonly requestFlags: number
  readonly stateFlags: number
  readonly blob: Buffer
  offset: number
}

interface Incoming {
  readonly type: number
  readonly stateFlags: number
  readonly pieces: Buffer[]
  size: number
}

export class StateblobTransfer {
  readonly #tpm: Tpm
  #outgoing: Outgoing | undefined
  #incoming: Incoming | undefined

  constructor(tpm: Tpm) {
    this.#tpm = tpm
  }

  /** What read() and write() on the device mean now. */
  get mode(): 'command' | 'get' | 'set' {
    if (this.#incoming !== undefined) return 'set'
    return this.#outgoing !== undefined && this.#outgoing.offset < this.#outgoing.blob.length
      ? 'get'
      : 'command'
  }

  /** Forgets a transfer that is under way. */
  abandon(): void {
    this.#outgoing = undefined
    this.#incoming = undefined
  }

  async get(request: Request<'GET_STATEBLOB'>): Promise<Outcome<'GET_STATEBLOB'>> {
    this.#incoming = undefined
    const { type, stateFlags: requestFlags, offset } = request
    const current = this.#outgoing
    // Offset 0 always takes a new blob: an old one would no longer be the state of the TPM.
    if (offset === 0 || current?.type !== type || current.requestFlags !== requestFlags) {
      this.#outgoing = undefined
      const outcome = await execute(this.#tpm, 'GET_STATEBLOB', { ...request, offset: 0 })
      if (!('data' in outcome)) return outcome
      const { stateFlags, data } = outcome
      this.#outgoing = { type, requestFlags, stateFlags, blob: data, offset: 0 }
    }
    const { blob, stateFlags } = this.#outgoing as Outgoing
    const data = blob.subarray(offset, offset + PTM_STATE_BLOB_SIZE)
    const outgoing = this.#outgoing as Outgoing
    outgoing.offset = Math.min(offset + data.length, blob.length)
    if (data.length > 0 && outgoing.offset === blob.length) this.#outgoing = undefined
    return { tpmResult: TPM_SUCCESS, stateFlags, totLength: blob.length, length: data.length, data }
  }

  /** read() in mode `get`: the next bytes; the last ones end the transfer. */
  read(size: number): Buffer {
    const outgoing = this.#outgoing as Outgoing
    const data = outgoing.blob.subarray(outgoing.offset, outgoing.offset + size)
    outgoing.offset += data.length
    if (outgoing.offset === outgoing.blob.length) this.#outgoing = undefined
    return data
  }

  async set(request: Request<'SET_STATEBLOB'>): Promise<Outcome<'SET_STATEBLOB'>> {
    this.#outgoing = undefined
    const { type, stateFlags, length } = request
    if (length > PTM_STATE_BLOB_SIZE) {
      this.#incoming = undefined
      return { tpmResult: TPM_BAD_PARAMETER }
    }
    if (!this.#tpm.allows('SET_STATEBLOB')) {
      this.#incoming = undefined
      return execute(this.#tpm, 'SET_STATEBLOB', request)
    }
    const begins = this.#incoming?.type !== type
    if (begins) this.#incoming = { type, stateFlags, pieces: [], size: 0 }
    if (!this.write(request.data.subarray(0, length))) return { tpmResult: TPM_BAD_PARAMETER }
    const more = length === PTM_STATE_BLOB_SIZE || (begins && length === 0)
    if (more) return { tpmResult: TPM_SUCCESS }

    const incoming = this.#incoming as Incoming
    this.#incoming = undefined
    const data = Buffer.concat(incoming.pieces)
    return execute(this.#tpm, 'SET_STATEBLOB', {
      type,
      stateFlags: incoming.stateFlags,
      length: data.length,
      data,
    })
  }

  /** write() in mode `set`. @returns false when the blob grows beyond any: the transfer is over */
  write(data: Buffer): boolean {
    const incoming = this.#incoming as Incoming
    incoming.size += data.length
    if (incoming.size > MAX_STATE_BLOB_BYTES) {
      this.#incoming = undefined
      return false
    }
    incoming.pieces.push(Buffer.from(data))
    return true
  }
}
