/** The options of `swtpm trace`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

export const TRACE_OPTIONS = {
  follow: {
    value: 'SOCKET',
    group: 'What is read',
    describe: 'in place of FILE: a TPM that is served, by the socket of its --script-socket',
  },
  grep: {
    value: 'WHEN',
    group: 'What is printed',
    describe:
      "only these commands, in the language of --fault: 'PCR_Extend', 'GetCapability[capability=PCRS]', 'GetRandom#3-'",
  },
  json: { group: 'What is printed', describe: 'a line of JSON for each command, with all parameters' },
  secrets: {
    group: 'What is printed',
    describe:
      'passwords, sensitive data, private parts and the contents of NV areas, too; otherwise their length only',
  },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
