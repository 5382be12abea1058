/** swtpm_cert: a certificate for a TPM's key, without that key's private half. */
import { COMPATIBLE_VERSION } from '../../system/version.ts'
import { capabilitiesLine } from '../common/capabilities-line.ts'
import { printOut } from '../common/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { toPem } from './certificate.ts'
import { writeCertificate } from './certificate-output.ts'
import { issueCertificate, loadAuthority, withStoredCertHeader } from './issue.ts'
import { readPassword } from './password.ts'
import { type CertOptions, certificateRequest } from './request.ts'

export const CERT_CAPABILITIES = {
  type: 'swtpm_cert',
  features: ['cmdarg-signkey-pwd', 'cmdarg-tpm-serial-num', 'supports-iak-idevid'],
  version: COMPATIBLE_VERSION,
}

export async function runCert(options: CertOptions): Promise<number> {
  if (options.has('print-capabilities')) {
    printOut(`${capabilitiesLine(CERT_CAPABILITIES)}\n`)
    return 0
  }
  const request = certificateRequest(options)
  const authority = loadAuthority({
    signingKey: need(options, 'signkey', "the CA's private key"),
    password: signKeyPassword(options),
    issuerCert: need(options, 'issuercert', "the CA's certificate"),
  })
  const der = issueCertificate(request, authority)
  const bytes = options.has('pem') ? Buffer.from(toPem(der)) : der
  writeCertificate(
    options.text('out-cert'),
    options.has('add-header') ? withStoredCertHeader(bytes) : bytes,
    [options.text('signkey'), options.text('issuercert'), options.text('pubkey')],
  )
  return 0
}

function need(options: CertOptions, name: 'signkey' | 'issuercert', what: string): string {
  const value = options.text(name)
  if (value === undefined) throw new ToolFailure(`Missing ${what}: pass --${name} FILE`)
  return value
}

function signKeyPassword(options: CertOptions): string | undefined {
  const source = options.text('signkey-pwd')
  return source === undefined ? options.text('signkey-password') : readPassword(source)
}
