/** Copies of the certificates for the user: --write-ek-cert-files. */
import { join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { writeFileAtomic } from '../common/atomic-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** TCG_PCCLIENT_STORED_CERT and its tag, before a TPM 1.2 certificate. */
const STORED_CERT_HEADER_BYTES = 7

/** A copy of a certificate for the user: `ek-rsa2048.crt`, always bare DER. */
export function writeCertificateFile(
  folder: string,
  name: string,
  certificate: Buffer,
  hasStoredCertHeader: boolean,
): void {
  const path = join(folder, `${name}.crt`)
  try {
    const der = hasStoredCertHeader ? certificate.subarray(STORED_CERT_HEADER_BYTES) : certificate
    writeFileAtomic(path, der, 0o640)
  } catch (error) {
    throw new ToolFailure(`Cannot write certificate file "${path}": ${reasonOf(error)}`, { cause: error })
  }
}
