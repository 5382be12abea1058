/** The environment by which the programs of others find a TPM. */
import type { Device } from '../../../library/device.ts'

/**
 * tpm2-tools, tpm2-openssl, tpm2-pkcs11 and tpm2-tss's tests by a TCTI; IBM's TSS and TrouSerS by host, port or device.
 * @see tpm2-tools(1) "TPM2TOOLS_TCTI", tcsd(8)
 */
export function toolEnvironment({ tcti, path, resourceManager }: Device): Readonly<Record<string, string>> {
  const byTcti = Object.fromEntries(
    ['TPM2TOOLS_TCTI', 'TPM2OPENSSL_TCTI', 'TPM2_PKCS11_TCTI', 'TEST_TCTI'].map((name) => [name, tcti]),
  )
  const [, host, port] = /^(.*):(\d+)$/.exec(path) ?? []
  if (host === undefined || port === undefined)
    return { ...byTcti, TPM_INTERFACE_TYPE: 'dev', TPM_DEVICE: resourceManager ?? path }
  return {
    ...byTcti,
    TPM_INTERFACE_TYPE: 'socsim',
    TPM_SERVER_TYPE: 'raw',
    TPM_SERVER_NAME: host,
    TPM_COMMAND_PORT: port,
    TCSD_USE_TCP_DEVICE: '1',
    TCSD_TCP_DEVICE_HOSTNAME: host,
    TCSD_TCP_DEVICE_PORT: port,
  }
}
