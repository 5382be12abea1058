/** The options of `swtpm fault`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

export const FAULT_OPTIONS = {
  json: { group: 'What is printed', describe: 'the answer of the TPM, a line of JSON' },
  timeout: {
    value: 'SECONDS',
    group: 'swtpm fault SOCKET wait',
    defaultDescription: '60',
    describe: 'fail when the fault has not struck until then',
  },
  times: {
    value: 'N',
    group: 'swtpm fault SOCKET wait',
    defaultDescription: '1',
    describe: 'until it has struck so many commands since it was added',
  },
  help: { alias: 'h', group: 'Help', describe: 'this text, and the language of rules', endsReading: true },
} as const satisfies OptionTable

export const FAULT_VERBS = ['add', 'list', 'remove', 'clear', 'wait'] as const
export type FaultVerb = (typeof FAULT_VERBS)[number]
