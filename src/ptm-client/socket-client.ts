/**
 * PTM verbs over the control channel: u32 code and request, answered by the response. Big-endian.
 *
 * A failure is answered by its result and nothing more, so the result is read first and the rest only after a success.
 */

import { BIG, u32 } from '../../contract/struct.ts'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import {
  controlCode,
  type Outcome,
  type Request,
  VERBS,
  type Verb,
  type VerbName,
} from '../../contract/verbs.ts'
import { SwtpmError } from '../system/errors.ts'
import type { PtmClient } from './ptm-client.ts'
import { SocketConnection } from './socket-connection.ts'
import type { SocketAddress } from './tpm-address.ts'

const RESULT_SIZE = 4
/** TPM_TAG_RSP_COMMAND, …AUTH1 and …AUTH2 of a TPM 1.2; TPM_ST_NO_SESSIONS and TPM_ST_SESSIONS of a TPM 2.0. */
const RESPONSE_TAGS = new Set([0x00c4, 0x00c5, 0x00c6, 0x8001, 0x8002])
/** More than any answer holds, in bytes: a length beyond it is not swtpm's. */
const MAX_TRAILING_BYTES = 64 * 1024 * 1024

export class SocketClient implements PtmClient {
  readonly #connection: SocketConnection
  readonly #timeoutMs: number

  /** @param timeoutMs for each answer */
  constructor(connection: SocketConnection, timeoutMs: number) {
    this.#connection = connection
    this.#timeoutMs = timeoutMs
  }

  static async connect(address: SocketAddress, timeoutMs: number): Promise<SocketClient> {
    return new SocketClient(await SocketConnection.connect(address, timeoutMs), timeoutMs)
  }

  async call<V extends VerbName>(verb: V, request: Request<V>, extraTimeMs = 0): Promise<Outcome<V>> {
    const row: Verb = VERBS[verb]
    const response = row.controlResp ?? row.resp
    const receive = (count: number): Promise<Buffer> =>
      this.#connection.receive(count, this.#timeoutMs + extraTimeMs, `PTM_${verb}`)

    // The C swtpm sends twelve bytes behind the result of a failed GET_STATEBLOB.
    this.#connection.discard()
    this.#connection.send(Buffer.concat([code(verb), row.req.encode(request, BIG)]))

    const result = await receive(RESULT_SIZE)
    const tpmResult = result.readUInt32BE()
    if (isResponseHeader(tpmResult)) {
      throw new SwtpmError(
        'SWTPM_ERR_SOCKET',
        `Could not execute PTM_${verb}: ${this.#connection.name} answers as a data channel; name the control channel, swtpm's --ctrl`,
      )
    }
    if (tpmResult !== TPM_SUCCESS) return { tpmResult }

    const fixed = Buffer.concat([result, await receive(response.fixedSize - RESULT_SIZE)])
    let value = response.decode(fixed, BIG) as Record<string, unknown>
    if (response.fixedSize < response.size) {
      const length = value.length as number
      if (length > MAX_TRAILING_BYTES) {
        throw new SwtpmError(
          'SWTPM_ERR_SOCKET',
          `Could not execute PTM_${verb}: it announces ${length} bytes`,
        )
      }
      value = response.decode(Buffer.concat([fixed, await receive(length)]), BIG) as Record<string, unknown>
    }
    return (row.controlResp === undefined ? value : widen(value)) as Outcome<V>
  }

  close(): void {
    this.#connection.close()
  }
}

function code(verb: VerbName): Buffer {
  const bytes = Buffer.alloc(u32.size)
  bytes.writeUInt32BE(controlCode(verb))
  return bytes
}

/** Whether four bytes are the tag of a TPM's response and half of its size, which is less than 64 KiB. No result is as large. */
const isResponseHeader = (word: number): boolean => RESPONSE_TAGS.has(word >>> 16) && (word & 0xffff) === 0

/** GET_CAPABILITY in the words of the ioctl, which has 64 bits and no result. */
const widen = (value: Record<string, unknown>): { caps: bigint } => ({ caps: BigInt(value.caps as number) })
