/** The options of `swtpm trace`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

export const TRACE_OPTIONS = {
  json: { group: 'What is printed', describe: 'a line of JSON for each command, with all parameters' },
  secrets: {
    group: 'What is printed',
    describe:
      'passwords, sensitive data, private parts and the contents of NV areas, too; otherwise their length only',
  },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
