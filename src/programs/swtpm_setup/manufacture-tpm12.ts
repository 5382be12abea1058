/** Makes a TPM 1.2 what it is when it leaves a factory, and on request its owner's. */

import {
  authSession,
  createEndorsementKeyPair,
  EK_BITS,
  endorsementModulus,
  NV_INDEX_EK_CERT,
  NV_INDEX_PLATFORM_CERT,
  nvDefineCert,
  nvLock,
  nvWriteValue,
  oiap,
  sha1,
  takeOwnership,
} from '../../tpm-commands/tpm12-commands.ts'
import {
  physicalEnable,
  physicalPresence,
  physicalSetDeactivated,
  TPM_PHYSICAL_PRESENCE_CMD_ENABLE,
  TPM_PHYSICAL_PRESENCE_PRESENT,
} from '../../tpm-commands/tpm12-presence.ts'
import type { CertificateType } from '../swtpm_cert/cert-options.ts'
import { specificationArguments } from './certificate-arguments.ts'
import { CertificateMaker } from './certificate-maker.ts'
import { STORED_CERT_HEADER_BYTES } from './stored-certificate.ts'
import type { Workshop } from './workshop.ts'

export async function manufactureTpm12(workshop: Workshop): Promise<void> {
  const { tpm, task, log } = workshop
  await tpm.transmit('TSC_PhysicalPresence', physicalPresence(TPM_PHYSICAL_PRESENCE_CMD_ENABLE))
  await tpm.transmit('TSC_PhysicalPresence', physicalPresence(TPM_PHYSICAL_PRESENCE_PRESENT))
  await tpm.transmit('TPM_PhysicalEnable', physicalEnable())
  await tpm.transmit('TPM_PhysicalSetDeactivated', physicalSetDeactivated(false))

  if (task.createEk) {
    const modulus = await tpm.transmit(
      'TPM_CreateEndorsementKeyPair',
      createEndorsementKeyPair(),
      modulusOfEk,
    )
    log.info('Successfully created EK.')
    if (task.takeOwnership) await takeOwnershipOf(workshop, modulus)
    if (task.ekCert || task.platformCert) await createCertificates(workshop, modulus)
  }
  if (task.lockNvram) {
    await tpm.transmit('TPM_NV_DefineSpace', nvLock())
    log.info('Successfully locked NVRAM access.')
  }
}

/** @throws RangeError when the key is not of the size that was asked for: nothing could be encrypted with it */
function modulusOfEk(response: Buffer): Buffer {
  const modulus = endorsementModulus(response)
  const bits = 8 * modulus.length
  if (bits !== EK_BITS) throw new RangeError(`the TPM's key has ${bits} bits instead of ${EK_BITS}`)
  return modulus
}

async function takeOwnershipOf({ tpm, task, log }: Workshop, modulus: Buffer): Promise<void> {
  const { ownerPassword, srkPassword } = task.ownership
  await tpm.transmit(
    'TPM_TakeOwnership',
    takeOwnership({
      endorsementModulus: modulus,
      ownerAuth: authOf(ownerPassword),
      srkAuth: authOf(srkPassword),
      session: await tpm.transmit('TPM_OIAP', oiap(), authSession),
    }),
  )
  log.info('Successfully took ownership of the TPM.')
}

/** The authorisation that a password gives; the well-known password is twenty zero bytes, hashed like any other. */
const authOf = (password: string | undefined): Buffer => sha1(password ?? Buffer.alloc(20))

async function createCertificates(workshop: Workshop, modulus: Buffer): Promise<void> {
  const { tpm, task, config, folder, files, log } = workshop
  const specArgs = specificationArguments(await tpm.specificationAndAttributes())
  const certificates = new CertificateMaker(folder, config, task, specArgs, log)
  try {
    const key = modulus.toString('hex')
    const make = (type: CertificateType): Promise<Buffer> => certificates.make({ type, key })
    const ek = task.ekCert ? await make('ek') : undefined
    const platform = task.platformCert ? await make('platform') : undefined
    if (ek !== undefined) {
      await store(workshop, NV_INDEX_EK_CERT, 'EK', ek)
      files?.add('ek-rsa2048.crt', ek.subarray(STORED_CERT_HEADER_BYTES))
    }
    if (platform !== undefined) await store(workshop, NV_INDEX_PLATFORM_CERT, 'Platform', platform)
  } finally {
    certificates.close()
  }
}

async function store(
  { tpm, log }: Workshop,
  index: number,
  what: string,
  certificate: Buffer,
): Promise<void> {
  await tpm.transmit('TPM_NV_DefineSpace', nvDefineCert(index, certificate.length))
  await tpm.transmit('TPM_NV_WriteValue', nvWriteValue(index, certificate))
  log.info(`Successfully created NVRAM area for ${what} certificate.`)
}
