/** Entry point of swtpm_localca. */

import { runTool } from '../common/tool-main.ts'
import { LOCALCA_OPTIONS } from './localca-options.ts'
import { runLocalca } from './run-localca.ts'

runTool({
  tool: 'swtpm_localca',
  summary: "Issues certificates for a TPM's keys from a CA on this machine; the CA is made at its first use.",
  table: LOCALCA_OPTIONS,
  title: 'Local CA of the TPM emulator',
  helpOption: 'help',
  versionOption: 'version',
  ignoresStrays: true,
  examples: [
    ['$0 --type ek --ek b0a8… --dir . --vmid vm1 --tpm2 --tpm-spec-family 2.0 …', 'what swtpm_setup calls'],
  ],
  epilogue:
    'The CA lies where swtpm-localca.conf says: in $XDG_CONFIG_HOME (~/.config), else /etc. A user who has none, and may ' +
    'not use the CA of /etc, has one in $XDG_CONFIG_HOME/var/lib/swtpm-localca. ' +
    'SWTPM_ROOTCA_PASSWORD in the environment encrypts the key of the root CA.',
  logOption: 'logfile',
  run: runLocalca,
})
