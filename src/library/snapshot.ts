/** All of a TPM's state, in memory. */
import { type BlobType, STATE_BLOBS } from '../../contract/state-blobs.ts'
import { TPM_RETRY, TPM_SUCCESS } from '../../contract/tpm-result.ts'
import { SwtpmError } from '../system/errors.ts'
import type { Tpm } from '../tpm/tpm.ts'

/** Made by `tpm.snapshot()`. It holds the TPM's keys. */
export interface Snapshot {
  readonly version: '2' | '1.2'
  readonly blobs: Readonly<Record<BlobType, Buffer>>
}

const NAMES = Object.keys(STATE_BLOBS) as BlobType[]

export async function saveBlobs(tpm: Tpm): Promise<Snapshot> {
  const blobs = {} as Record<BlobType, Buffer>
  for (const name of NAMES) {
    const { type } = STATE_BLOBS[name]
    const blob = await tpm.forward('GET_STATEBLOB', { stateFlags: 0, type, offset: 0 })
    const { tpmResult } = blob
    // There is none.
    if (tpmResult === TPM_RETRY) blobs[name] = Buffer.alloc(0)
    else if ('data' in blob) blobs[name] = Buffer.from(blob.data)
    else throw failed(`take the ${name} state of the TPM`, tpmResult)
  }
  return { version: tpm.version, blobs }
}

export async function restoreBlobs(tpm: Tpm, { version, blobs }: Snapshot): Promise<void> {
  if (version !== tpm.version)
    throw new SwtpmError(
      'SWTPM_ERR_STATE_DIR',
      `Cannot restore the snapshot: it is that of a TPM ${version}, and this is a TPM ${tpm.version}`,
    )
  await tpm.stop()
  for (const name of NAMES) {
    const data = blobs[name]
    if (data.length === 0 && name !== 'savestate') continue
    const { type } = STATE_BLOBS[name]
    const { tpmResult } = await tpm.forward('SET_STATEBLOB', {
      stateFlags: 0,
      type,
      length: data.length,
      data,
    })
    if (tpmResult !== TPM_SUCCESS) throw failed(`give the TPM its ${name} state back`, tpmResult)
  }
  await tpm.powerOn(0)
}

const failed = (what: string, result: number): SwtpmError =>
  new SwtpmError('SWTPM_ERR_STATE_DIR', `Cannot ${what}: result 0x${result.toString(16)}`)
