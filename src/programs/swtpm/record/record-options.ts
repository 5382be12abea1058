/** The options of `swtpm record`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

export const WAYS = ['proxy', 'socket'] as const
export type Way = (typeof WAYS)[number]

export const RECORD_OPTIONS = {
  behind: {
    value: 'TPM',
    suggestions: ['device:/dev/tpm0', 'device:/dev/tpmrm0', 'unix:', 'tcp:'],
    group: 'What is recorded',
    describe: 'the TPM that COMMAND is to use: device:PATH, unix:PATH or tcp:HOST:PORT; required',
  },
  output: {
    alias: 'o',
    value: 'FILE',
    group: 'What is recorded',
    describe: 'the recording (.tpmrec); required',
  },
  tpm12: { group: 'What is recorded', describe: 'it is a TPM 1.2 instead of a TPM 2.0' },
  via: {
    value: 'WAY',
    choices: WAYS,
    group: 'How COMMAND gets at it',
    describe:
      'proxy: a device of the kernel, /dev/tpmN, which takes root and /dev/vtpmx; socket: a Unix socket in the form of swtpm',
    defaultDescription: 'proxy where that can be had, else socket',
  },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
