/** Entry point of swtpm_setup. */

import { runTool } from '../common/tool-main.ts'
import { becomeSetupUser, runSetup } from './run-setup.ts'
import { SETUP_OPTIONS } from './setup-options.ts'

runTool({
  tool: 'swtpm_setup',
  summary: 'Simulates the manufacturing of a TPM: keys, certificates and PCR banks in its first state.',
  table: SETUP_OPTIONS,
  title: 'TPM emulator setup tool',
  helpOption: 'help',
  versionOption: 'version',
  ignoresStrays: true,
  examples: [
    [
      '$0 --tpm2 --tpm-state /var/lib/mytpm --create-ek-cert --create-platform-cert --lock-nvram',
      'a TPM 2 as sold',
    ],
    [
      '$0 --tpm2 --tpm-state /var/lib/mytpm --reconfigure --pcr-banks sha256,sha384',
      'other PCR banks for it',
    ],
    ['$0 --tpm2 --tpm-state /var/lib/mytpm --write-ek-cert-files .', 'its certificates, also while it runs'],
    ['$0 --tpm-state /var/lib/mytpm --take-ownership --ownerpass secret', 'a TPM 1.2 with an owner'],
  ],
  epilogue:
    'The exit code is 0 when the TPM is set up, or left alone with --not-overwrite, and 1 otherwise. ' +
    'Certificates come from create_certs_tool of swtpm_setup.conf, normally swtpm_localca.',
  logOption: 'logfile',
  quietOption: 'quiet',
  prepare: becomeSetupUser,
  run: runSetup,
})
