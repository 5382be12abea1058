/** THE option table of swtpm_bios. @see swtpm_bios(8) */

import { endpointOptions } from '../common/endpoint-option.ts'
import type { OptionTable } from '../common/options/option-table.ts'

export const DEFAULT_DATA_PORT = 6545

const start = 'Startup'
const more = 'Further steps'
const information = 'Information'

export const biosOptions = {
  ...endpointOptions('use this device; /dev/tpm0, or what TPM_DEVICE names', DEFAULT_DATA_PORT),
  tpm2: { group: start, describe: 'the TPM is a TPM 2.0' },
  c: { group: start, describe: 'send Startup(clear); the default' },
  s: { group: start, describe: 'send Startup(state)' },
  d: {
    group: start,
    describe: 'send Startup(deactivated) and do nothing else; a TPM 2.0 is sent no Startup',
  },
  n: { group: start, describe: 'send no Startup' },
  o: { group: more, describe: 'send Startup only: leave a TPM 1.2 neither enabled nor activated' },
  cs: {
    group: more,
    describe: 'run the self test: TPM_ContinueSelfTest (1.2) or TPM2_IncrementalSelfTest (2.0)',
  },
  ea: { group: more, describe: 'exit with 129 if a TPM 1.2 must be reset to become activated' },
  u: {
    group: more,
    describe:
      'give up physical presence (1.2), or set the password of the platform hierarchy to random bytes (2.0)',
  },
  v: { group: information, alias: 'version', describe: 'print the version', endsReading: true },
  h: { group: information, alias: 'help', describe: 'print this help', endsReading: true },
} as const satisfies OptionTable

export type BiosOption = keyof typeof biosOptions
