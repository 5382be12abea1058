/** Reads the keys and certificates that a TPM 2 left its factory with. */
import {
  getHandles,
  handles,
  nvArea,
  nvData,
  nvReadPublic,
  nvReads,
  type PublicPart,
  readPublic,
  readPublicPart,
} from '../../tpm-commands/tpm2-commands.ts'
import { algorithmOf, KEY_ALGORITHMS } from '../common/tpm-keys/key-algorithms.ts'
import {
  ekPlace,
  IAK_CERT_INDEX,
  IAK_HANDLE,
  IDEVID_CERT_INDEX,
  IDEVID_HANDLE,
  PLATFORM_CERT_INDEX,
} from '../common/tpm-keys/key-places.ts'
import { certificateIn, type ExportedFile } from './exported-file.ts'
import { publicKeyPem } from './public-key-pem.ts'
import type { TpmProcess } from './tpm-process.ts'

/** @throws ToolFailure naming the command that failed */
export async function exportTpm2(tpm: TpmProcess): Promise<ExportedFile[]> {
  const has = async (kind: 'nv' | 'persistent'): Promise<number[]> =>
    tpm.transmit('TPM2_GetCapability', getHandles(kind), handles)
  const [keys, areas] = [await has('persistent'), await has('nv')]
  const files: ExportedFile[] = []
  const add = async (name: string, key: PublicPart | undefined, certIndex: number): Promise<void> => {
    if (areas.includes(certIndex)) {
      files.push({ name: `${name}.crt`, content: certificateIn(await readNv(tpm, certIndex)) })
    }
    const pem = key === undefined ? undefined : publicKeyPem(key)
    if (pem !== undefined) files.push({ name: `${name}.pub`, content: pem })
  }
  const keyAt = async (handle: number): Promise<PublicPart | undefined> =>
    keys.includes(handle)
      ? await tpm.transmit('TPM2_ReadPublic', readPublic(handle), readPublicPart)
      : undefined

  for (const algorithm of KEY_ALGORITHMS) {
    const { handle, certIndex } = ekPlace(algorithm)
    await add(`ek-${algorithm}`, await keyAt(handle), certIndex)
  }
  for (const [type, handle, certIndex] of [
    ['iak', IAK_HANDLE, IAK_CERT_INDEX],
    ['idevid', IDEVID_HANDLE, IDEVID_CERT_INDEX],
  ] as const) {
    const key = await keyAt(handle)
    const algorithm = key === undefined ? undefined : algorithmOf(key)
    await add(algorithm === undefined ? type : `${type}-${algorithm}`, key, certIndex)
  }
  await add('platform', undefined, PLATFORM_CERT_INDEX)
  return files
}

async function readNv(tpm: TpmProcess, index: number): Promise<Buffer> {
  const area = await tpm.transmit('TPM2_NV_ReadPublic', nvReadPublic(index), nvArea)
  const pieces: Buffer[] = []
  for (const command of nvReads(area)) pieces.push(await tpm.transmit('TPM2_NV_Read', command, nvData))
  return Buffer.concat(pieces)
}
