/** The options of `swtpm replay`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

export const REPLAY_OPTIONS = {
  to: {
    value: 'TPM',
    suggestions: ['ours', 'device:/dev/tpm0', 'unix:', 'tcp:'],
    group: 'Where to',
    describe:
      'what is asked: a new TPM of ours in memory, or device:PATH, unix:PATH, tcp:HOST:PORT, where a TPM takes commands as they are',
    defaultDescription: 'ours',
  },
  diff: {
    group: 'What is printed',
    describe: 'of each response that differs, both in words, field by field',
  },
  json: { group: 'What is printed', describe: 'a line of JSON for each command, and one with the counts' },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
