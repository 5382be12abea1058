/**
 * Whole state blobs, however the transport cuts them: at once over a socket; on a device in ioctls of
 * PTM_STATE_BLOB_SIZE bytes, or by read() and write() of a size that the caller chooses.
 * @see swtpm_ioctls(3) PTM_GET_STATEBLOB, PTM_SET_STATEBLOB
 */

import { type BlobType, STATE_BLOBS } from '../../contract/state-blobs.ts'
import { TPM_RETRY, TPM_SUCCESS } from '../../contract/tpm-result.ts'
import { PTM_STATE_BLOB_SIZE, PTM_STATE_FLAG_DECRYPTED } from '../../contract/verb-structures.ts'
import { SwtpmError } from '../system/errors.ts'
import type { BlobStream, PtmClient } from './ptm-client.ts'

export type BlobOutcome = { readonly blob: Buffer } | { readonly tpmResult: number }

/**
 * Takes a blob from the TPM, decrypted unless the TPM has a migration key.
 * @param streamChunk bytes for each read(); undefined: everything by verbs
 * @returns an empty blob when the TPM has none of this type
 */
export async function getStateBlob(
  client: PtmClient,
  type: BlobType,
  streamChunk?: number,
): Promise<BlobOutcome> {
  const pieces: Buffer[] = []
  let received = 0
  for (;;) {
    const outcome = await client.call('GET_STATEBLOB', {
      stateFlags: PTM_STATE_FLAG_DECRYPTED,
      type: STATE_BLOBS[type].type,
      offset: received,
    })
    if (!('data' in outcome)) {
      const { tpmResult } = outcome
      // libtpms marks what is no failure: here "there is none", as of a savestate before TPM_SaveState.
      return (tpmResult & TPM_RETRY) === 0 ? { tpmResult } : { blob: Buffer.alloc(0) }
    }
    const { data, totLength } = outcome
    pieces.push(data)
    received += data.length
    if (received < totLength && streamChunk !== undefined && client.stream !== undefined) {
      pieces.push(...readRest(client.stream, totLength - received, streamChunk))
      received = totLength
    }
    if (received >= totLength) return { blob: Buffer.concat(pieces) }
    if (data.length === 0) throw incomplete(received, totLength)
  }
}

function* readRest(stream: BlobStream, rest: number, chunk: number): Generator<Buffer> {
  for (let missing = rest; missing > 0; ) {
    const bytes = stream.read(chunk)
    if (bytes.length === 0) throw incomplete(rest - missing, rest)
    missing -= bytes.length
    yield bytes
  }
}

const incomplete = (got: number, expected: number): SwtpmError =>
  new SwtpmError(
    'SWTPM_ERR_DEVICE',
    `The TPM broke off the transfer of the state blob after ${got} of ${expected} bytes`,
  )

/**
 * Gives a blob to a stopped TPM. That it is encrypted says its own header.
 * @param streamChunk bytes for each write(); undefined: everything by verbs
 * @returns the TPM's result
 */
export async function setStateBlob(
  client: PtmClient,
  type: BlobType,
  blob: Buffer,
  streamChunk?: number,
): Promise<number> {
  const send = async (data: Buffer): Promise<number> => {
    const request = { stateFlags: 0, type: STATE_BLOBS[type].type, length: data.length, data }
    return (await client.call('SET_STATEBLOB', request)).tpmResult
  }
  const { stream } = client
  if (stream === undefined) return send(blob)

  if (streamChunk === undefined) {
    // A piece that is not full is the last one, so a blob of full pieces ends with an empty one.
    for (let offset = 0; ; offset += PTM_STATE_BLOB_SIZE) {
      const piece = blob.subarray(offset, offset + PTM_STATE_BLOB_SIZE)
      const tpmResult = await send(piece)
      if (tpmResult !== TPM_SUCCESS || piece.length < PTM_STATE_BLOB_SIZE) return tpmResult
    }
  }

  // Empty at the beginning: the data come by write(). Empty at the end: that was all.
  const begun = await send(Buffer.alloc(0))
  if (begun !== TPM_SUCCESS) return begun
  for (let offset = 0; offset < blob.length; offset += streamChunk) {
    stream.write(blob.subarray(offset, offset + streamChunk))
  }
  return send(Buffer.alloc(0))
}
