/** swtpm_ioctl --save and --load. */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { type BlobType, STATE_BLOBS } from '../../../contract/state-blobs.ts'
import type { PtmClient } from '../../ptm-client/ptm-client.ts'
import { getStateBlob, setStateBlob } from '../../ptm-client/state-blob.ts'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { checkResult } from './check-result.ts'

export function parseBlobType(text: string): BlobType {
  if (Object.hasOwn(STATE_BLOBS, text)) return text as BlobType
  throw new ToolFailure(
    `Unknown TPM state type '${text}'; the types are ${Object.keys(STATE_BLOBS).join(', ')}`,
  )
}

/**
 * The file is opened before the blob is asked for, because handing it out changes the TPM (the volatile blob is deleted
 * on its side, the savestate blob may release the storage lock), and emptied only when the blob is there.
 */
export async function saveBlob(
  client: PtmClient,
  type: BlobType,
  path: string,
  streamChunk: number | undefined,
): Promise<void> {
  const { fd, created } = openForWriting(path)
  let saved = false
  try {
    const outcome = await getStateBlob(client, type, streamChunk)
    if (!('blob' in outcome)) {
      checkResult('GET_STATEBLOB', outcome)
      return
    }
    try {
      if (fstatSync(fd).isFile()) ftruncateSync(fd)
      writeFileSync(fd, outcome.blob)
    } catch (error) {
      throw new ToolFailure(`Could not write to file '${path}': ${reasonOf(error)}`, { cause: error })
    }
    saved = true
  } finally {
    closeSync(fd)
    if (created && !saved) unlinkSync(path)
  }
}

function openForWriting(path: string): { readonly fd: number; readonly created: boolean } {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants
  try {
    try {
      return { fd: openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600), created: true }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      return { fd: openSync(path, O_WRONLY | O_CREAT, 0o600), created: false }
    }
  } catch (error) {
    throw new ToolFailure(`Could not open file '${path}' for writing: ${reasonOf(error)}`, { cause: error })
  }
}

export async function loadBlob(
  client: PtmClient,
  type: BlobType,
  path: string,
  streamChunk: number | undefined,
): Promise<void> {
  const blob = readBlob(path)
  checkResult('SET_STATEBLOB', { tpmResult: await setStateBlob(client, type, blob, streamChunk) })
}

function readBlob(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new ToolFailure(`Could not open file '${path}' for reading: ${reasonOf(error)}`, { cause: error })
  }
}
