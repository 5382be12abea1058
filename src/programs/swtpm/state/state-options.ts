/** The options of `swtpm state`: the parser, its help and shell completion are made from this table. */
import { keySchema } from '../../../command-line/options/sub-options.ts'
import type { OptionTable } from '../../common/options/option-table.ts'

export const STATE_VERBS = ['show', 'verify', 'backup', 'convert', 'rekey'] as const
export type StateVerb = (typeof STATE_VERBS)[number]

export const STATE_OPTIONS = {
  key: {
    sub: keySchema,
    group: 'How the state is encrypted',
    describe: 'The key of the state, as `swtpm socket --key` has it.',
  },
  'migration-key': {
    sub: keySchema,
    group: 'How the state is encrypted',
    describe: 'The key of a blob that a migration moves.',
  },
  'new-key': {
    sub: keySchema,
    group: 'How the state is encrypted',
    describe: 'rekey: the key that the state is to have.',
  },
  'no-key': { group: 'How the state is encrypted', describe: 'rekey: the state is to be in the clear' },
  tpm2: { group: 'Which TPM', describe: 'the TPM 2.0 of a directory that has a TPM 1.2, too' },
  tpm12: { group: 'Which TPM', describe: 'the TPM 1.2 of such a directory' },
  overwrite: { group: 'What is written', describe: 'convert: replace a TPM that is at TO' },
  json: { group: 'What is printed', describe: 'JSON in place of a page (show, verify)' },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
