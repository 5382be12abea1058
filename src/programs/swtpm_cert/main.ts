/** Entry point of swtpm_cert. */

import { runTool } from '../common/tool-main.ts'
import { CERT_OPTIONS, CERT_STYLE } from './cert-options.ts'
import { runCert } from './run-cert.ts'

runTool({
  tool: 'swtpm_cert',
  summary: "Creates certificates for a TPM's keys without needing their private halves.",
  table: CERT_OPTIONS,
  style: CERT_STYLE,
  title: 'TPM certificate tool',
  helpOption: 'help',
  versionOption: 'version',
  ignoresStrays: true,
  examples: [
    [
      '$0 --tpm2 --signkey signkey.pem --signkey-pwd file:password --issuercert issuercert.pem --modulus b0a8… --tpm-manufacturer id:00001014 --tpm-model swtpm --tpm-version id:20191023 --tpm-spec-family 2.0 --tpm-spec-level 0 --tpm-spec-revision 164 --days -1 --out-cert ek.cert',
      'an EK certificate for a TPM 2',
    ],
  ],
  epilogue:
    'swtpm_localca keeps a CA of its own and calls this for each certificate; swtpm_setup calls swtpm_localca.',
  run: runCert,
})
