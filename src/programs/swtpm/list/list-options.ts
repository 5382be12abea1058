/** The options of `swtpm list`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

export const LIST_OPTIONS = {
  json: { group: 'What is printed', describe: 'JSON in place of a table' },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
