/** Makes a TPM 2 what it is when it leaves a factory: keys, certificates in NVRAM, PCR banks. */
import { X509Certificate } from 'node:crypto'
import { reasonOf } from '../../system/reason.ts'
import {
  createdKey,
  createPrimary,
  evictControl,
  flushContext,
  getHandles,
  getManufacturer,
  getPcrs,
  type Hierarchy,
  handles,
  MAX_NV_BYTES,
  manufacturer,
  nvDefineSpace,
  nvWriteLock,
  nvWrites,
  type PublicPart,
  pcrBanks,
  shutdown,
} from '../../tpm-commands/tpm2-commands.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { type KeyAlgorithm, keyLabel } from '../common/tpm-keys/key-algorithms.ts'
import {
  ekPlace,
  IAK_CERT_INDEX,
  IAK_HANDLE,
  IDEVID_CERT_INDEX,
  IDEVID_HANDLE,
  PLATFORM_CERT_INDEX,
  SPK_HANDLE,
} from '../common/tpm-keys/key-places.ts'
import type { CertificateType } from '../swtpm_cert/cert-options.ts'
import { keyParameter, specificationArguments } from './certificate-arguments.ts'
import { CertificateMaker } from './certificate-maker.ts'
import { ekTemplate, iakTemplate, idevidTemplate, spkTemplate } from './key-templates.ts'
import { activatePcrBanks, bankName } from './pcr-banks.ts'
import type { TpmProcess } from './tpm-process.ts'
import type { Workshop } from './workshop.ts'

export async function manufactureTpm2(workshop: Workshop): Promise<void> {
  const { tpm, task, choices, log } = workshop
  if (choices.profile !== undefined) await logProfile(workshop)
  if (!task.reconfigure) {
    if (task.createSpk) await createStorageKey(workshop)
    if (task.createEk) await createEndorsementKeys(workshop)
  }
  await activatePcrBanks(tpm, choices.pcrBanks, log)
  if (task.display) await display(workshop)
  await tpm.transmit('TPM2_Shutdown', shutdown())
}

async function logProfile({ tpm, log }: Workshop): Promise<void> {
  log.info(`Active profile: ${JSON.stringify(await tpm.activeProfile())}`)
}

/** Creates a primary key and makes it permanent; only its handle and its public part stay. */
async function persistKey(
  tpm: TpmProcess,
  hierarchy: Hierarchy,
  kind: string,
  template: Buffer,
  handle: number,
): Promise<PublicPart> {
  const key = await tpm.transmit(
    `TPM2_CreatePrimary(${kind})`,
    createPrimary(hierarchy, template),
    createdKey,
  )
  await tpm.transmit('TPM2_EvictControl', evictControl(key.handle, handle))
  await tpm.transmit('TPM2_FlushContext', flushContext(key.handle))
  return key.public
}

async function createStorageKey({ tpm, task, choices, log }: Workshop): Promise<void> {
  const rsa = choices.ekAlgorithms.find((algorithm) => algorithm.startsWith('rsa'))
  const algorithm = task.eccSpk ? 'secp384r1' : (rsa ?? 'rsa2048')
  await persistKey(tpm, 'owner', keyLabel(algorithm), spkTemplate(algorithm), SPK_HANDLE)
  log.info(`Successfully created storage primary key with handle ${hex(SPK_HANDLE)}.`)
}

async function createEndorsementKeys(workshop: Workshop): Promise<void> {
  const { tpm, task, choices, config, folder, log } = workshop
  const certificates =
    task.ekCert || task.platformCert
      ? new CertificateMaker(
          folder,
          config,
          task,
          specificationArguments(await tpm.specificationAndAttributes()),
          log,
        )
      : undefined
  try {
    let firstCertificate: Buffer | undefined
    for (const [position, algorithm] of choices.ekAlgorithms.entries()) {
      const key = await createEndorsementKey(workshop, algorithm)
      // The platform has one certificate, and it refers to the first EK.
      const types: CertificateType[] = [
        ...(task.ekCert ? (['ek'] as const) : []),
        ...(task.platformCert && position === 0 ? (['platform'] as const) : []),
      ]
      for (const type of types) {
        const certificate = await certificates!.make({ type, key: keyParameter(key, algorithm) })
        if (type === 'ek') {
          firstCertificate ??= certificate
          await storeEkCertificate(workshop, algorithm, certificate)
        } else {
          await storeCertificate(workshop, PLATFORM_CERT_INDEX, 'platform certificate', certificate)
        }
      }
    }
    if (firstCertificate !== undefined) await createDeviceKeys(workshop, certificates!, firstCertificate)
  } finally {
    certificates?.close()
  }
}

async function createEndorsementKey(workshop: Workshop, algorithm: KeyAlgorithm): Promise<PublicPart> {
  const { tpm, task, log } = workshop
  const { handle, templateIndex } = ekPlace(algorithm)
  const label = keyLabel(algorithm)
  const template = ekTemplate(algorithm, task.ekUse)
  const key = await persistKey(tpm, 'endorsement', label, template, handle)
  log.info(`Successfully created ${label} EK with handle ${hex(handle)}.`)
  if (task.ekUse.allowSigning) {
    await writeNvram(workshop, templateIndex, 'EK template', template)
    log.info(`Successfully created NVRAM area ${hex(templateIndex)} for ${label} EK template.`)
  }
  return key
}

async function storeEkCertificate(
  workshop: Workshop,
  algorithm: KeyAlgorithm,
  certificate: Buffer,
): Promise<void> {
  const { certIndex } = ekPlace(algorithm)
  await storeCertificate(workshop, certIndex, `${keyLabel(algorithm)} EK certificate`, certificate)
  workshop.files?.add(`ek-${algorithm}.crt`, certificate)
}

/** The IAK and the IDevID: their certificates name the TPM by the certificate of its EK. */
async function createDeviceKeys(
  workshop: Workshop,
  certificates: CertificateMaker,
  ekCertificate: Buffer,
): Promise<void> {
  const { tpm, choices, log } = workshop
  const rows = [
    ['iak', 'IAK', choices.iakAlgorithm, iakTemplate, IAK_HANDLE, IAK_CERT_INDEX],
    ['idevid', 'IDevID', choices.idevidAlgorithm, idevidTemplate, IDEVID_HANDLE, IDEVID_CERT_INDEX],
  ] as const
  if (rows.every(([, , algorithm]) => algorithm === undefined)) return
  const tpmSerialNumber = await serialNumberOf(tpm, ekCertificate)
  for (const [type, name, algorithm, template, handle, certIndex] of rows) {
    if (algorithm === undefined) continue
    const key = await persistKey(tpm, 'endorsement', name, template(algorithm), handle)
    log.info(`Successfully created ${keyLabel(algorithm)} ${name} with handle ${hex(handle)}.`)
    const job = { type, key: keyParameter(key, algorithm), tpmSerialNumber }
    const certificate = await certificates.make(job)
    await storeCertificate(workshop, certIndex, `${name} certificate`, certificate)
    workshop.files?.add(`${type}-${algorithm}.crt`, certificate)
  }
}

/** Manufacturer, CA key and EK certificate number: what makes a TPM unique. */
async function serialNumberOf(tpm: TpmProcess, ekCertificate: Buffer): Promise<string> {
  const { authority, serial } = await originOf(ekCertificate)
  if (authority === undefined)
    throw new ToolFailure('The EK certificate does not say which CA key signed it.')
  const code = await tpm.transmit('TPM2_GetCapability', getManufacturer(), manufacturer)
  return `${code}:${authority.toString('hex')}:${serial}`
}

async function originOf(
  certificate: Buffer,
): Promise<{ readonly authority: Buffer | undefined; readonly serial: string }> {
  const { statedAuthorityKey } = await import('../swtpm_cert/certificate.ts')
  try {
    const serial = new X509Certificate(certificate).serialNumber.toLowerCase()
    return { authority: statedAuthorityKey(certificate), serial }
  } catch (cause) {
    const reason = reasonOf(cause)
    throw new ToolFailure(
      `Cannot read the EK certificate: ${reason}; create_certs_tool must write X.509 in DER form`,
      { cause },
    )
  }
}

async function storeCertificate(
  workshop: Workshop,
  index: number,
  what: string,
  certificate: Buffer,
): Promise<void> {
  await writeNvram(workshop, index, what, certificate)
  workshop.log.info(`Successfully created NVRAM area ${hex(index)} for ${what}.`)
}

async function writeNvram({ tpm, task }: Workshop, index: number, what: string, data: Buffer): Promise<void> {
  if (data.length > MAX_NV_BYTES) {
    const reason = `it has ${data.length} bytes, an area holds at most ${MAX_NV_BYTES}`
    throw new ToolFailure(`Could not write ${what} into NVRAM area ${hex(index)}: ${reason}`)
  }
  try {
    await tpm.transmit('TPM2_NV_DefineSpace', nvDefineSpace(index, data.length))
    for (const command of nvWrites(index, data)) await tpm.transmit('TPM2_NV_Write', command)
    if (task.lockNvram) await tpm.transmit('TPM2_NV_WriteLock', nvWriteLock(index))
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error
    throw new ToolFailure(`Could not write ${what} into NVRAM area ${hex(index)}: ${error.message}`, {
      cause: error,
    })
  }
}

async function display({ tpm, log }: Workshop): Promise<void> {
  const ask = <T>(command: Buffer, decode: (response: Buffer) => T): Promise<T> =>
    tpm.transmit('TPM2_GetCapability', command, decode)
  const banks = (await ask(getPcrs(), pcrBanks)).filter(({ active }) => active)
  const list = (items: readonly number[]): string => items.map(hex).join(' ') || 'none'
  log.print(
    `PCR banks in use until the restart: ${banks.map(({ algorithm }) => bankName(algorithm)).join(',')}`,
  )
  log.print(`Persistent keys: ${list(await ask(getHandles('persistent'), handles))}`)
  log.print(`NVRAM areas: ${list(await ask(getHandles('nv'), handles))}`)
}

const hex = (value: number): string => `0x${value.toString(16)}`
