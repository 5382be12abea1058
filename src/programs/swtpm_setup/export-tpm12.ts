/**
 * Reads the endorsement key and the certificates of a TPM 1.2, which gives them to its owner.
 */
import {
  type AuthSession,
  authSession,
  endorsementModulus,
  getNvArea,
  NV_INDEX_EK_CERT,
  NV_INDEX_PLATFORM_CERT,
  nvAreaSize,
  nvValue,
  type OwnerProof,
  oiap,
  ownerNvReadValue,
  ownerReadEk,
  readPubek,
  takeOwnership,
} from '../../tpm-commands/tpm12-commands.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { TpmRefusal } from './data-channel.ts'
import { certificateIn, type ExportedFile } from './exported-file.ts'
import { publicKeyPem } from './public-key-pem.ts'
import { STORED_CERT_HEADER_BYTES } from './stored-certificate.ts'
import type { TpmProcess } from './tpm-process.ts'

/** Larger reads fit no TPM's buffer, in bytes. */
const NV_CHUNK_BYTES = 1024

/**
 * @param tpm started on a copy of the state: a TPM without an owner gets one
 * @param ownerAuth the authorisation of the owner of a TPM that has one
 * @throws ToolFailure
 */
export async function exportTpm12(tpm: TpmProcess, ownerAuth: Buffer): Promise<ExportedFile[]> {
  const session = (): Promise<AuthSession> => tpm.transmit('TPM_OIAP', oiap(), authSession)
  const prove = async (): Promise<OwnerProof> => ({ auth: ownerAuth, session: await session() })

  let modulus = await unlessRefused(tpm.transmit('TPM_ReadPubek', readPubek(), endorsementModulus))
  if (modulus !== undefined) {
    // Locked NVRAM is read by the owner alone.
    const command = takeOwnership({
      ...{ endorsementModulus: modulus, ownerAuth, srkAuth: ownerAuth },
      session: await session(),
    })
    await tpm.transmit('TPM_TakeOwnership', command)
  } else {
    modulus = await ownersEk(tpm, await prove())
    if (modulus === undefined) return []
  }
  const files: ExportedFile[] = []
  for (const [name, index] of [
    ['ek-rsa2048', NV_INDEX_EK_CERT],
    ['platform', NV_INDEX_PLATFORM_CERT],
  ] as const) {
    const area = await readNv(tpm, index, prove)
    if (area === undefined) continue
    files.push({ name: `${name}.crt`, content: certificateIn(area.subarray(STORED_CERT_HEADER_BYTES)) })
  }
  const pem = publicKeyPem({ modulus })
  return pem === undefined ? files : [...files, { name: 'ek-rsa2048.pub', content: pem }]
}

const TPM_AUTHFAIL = 0x01
/** The TPM has no owner. */
const TPM_NOSRK = 0x12

/** @returns undefined when the TPM has no endorsement key */
async function ownersEk(tpm: TpmProcess, proof: OwnerProof): Promise<Buffer | undefined> {
  try {
    return await tpm.transmit('TPM_OwnerReadInternalPub', ownerReadEk(proof), endorsementModulus)
  } catch (error) {
    const code = error instanceof TpmRefusal ? error.code : undefined
    if (code === TPM_NOSRK) return undefined
    if (code !== TPM_AUTHFAIL) throw error
    throw new ToolFailure(
      'Cannot read the endorsement key: the owner of the TPM has another password; pass it with --ownerpass',
      { cause: error },
    )
  }
}

/** @returns undefined when there is no such area */
async function readNv(
  tpm: TpmProcess,
  index: number,
  prove: () => Promise<OwnerProof>,
): Promise<Buffer | undefined> {
  const size = await unlessRefused(tpm.transmit('TPM_GetCapability', getNvArea(index), nvAreaSize))
  if (size === undefined) return undefined
  const pieces: Buffer[] = []
  for (let offset = 0; offset < size; offset += NV_CHUNK_BYTES) {
    const count = Math.min(NV_CHUNK_BYTES, size - offset)
    const command = ownerNvReadValue(await prove(), index, offset, count)
    pieces.push(await tpm.transmit('TPM_NV_ReadValue', command, nvValue))
  }
  return Buffer.concat(pieces)
}

/** @returns undefined when the TPM answers with an error */
async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof TpmRefusal) return undefined
    throw error
  }
}
