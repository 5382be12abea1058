/** The options of `swtpm run`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

export const RUN_OPTIONS = {
  tpm12: { group: 'The TPM', describe: 'a TPM 1.2 instead of a TPM 2.0' },
  state: {
    value: 'DIR',
    group: 'The TPM',
    describe: 'keep its state in this directory; without it the state is gone at the end',
  },
  'with-ek-cert': {
    group: 'The TPM',
    describe:
      'give it an EK and platform certificate, as swtpm_setup makes them; a TPM in DIR keeps those that it has',
  },
  'seed-insecure': {
    value: 'N',
    group: 'The TPM',
    describe: 'the same keys, random numbers and clock in every run: a TPM without secrets',
  },
  device: {
    group: 'Where',
    describe: 'a device of the kernel, by /dev/vtpmx or else by CUSE, instead of a socket; needs root',
  },
  fault: {
    value: 'RULE',
    group: 'What goes wrong',
    describe:
      "such as 'GetRandom#1-2: rc=RETRY'; may be given more than once; RULE help prints the words of the language",
  },
  mode: {
    value: 'NAME[=VALUE]',
    group: 'What goes wrong',
    describe: 'a TPM of another kind, or in another state; NAME help prints what there is',
  },
  'fault-seed': {
    value: 'N',
    group: 'What goes wrong',
    describe: 'which commands a rule with a chance strikes',
  },
  'script-socket': {
    value: 'PATH[,mode=MODE]',
    group: 'What goes wrong',
    describe: 'a Unix socket for `swtpm fault` and for programs that decide about commands',
  },
  trace: {
    value: 'FILE|-[,json][,secrets]',
    group: 'What passes',
    describe: 'print all commands and responses into FILE, in words; -: on standard output',
  },
  record: {
    value: 'FILE',
    group: 'What passes',
    describe: 'record all commands and responses, for swtpm trace, replay and --behind',
  },
  pcap: {
    value: 'file=FILE',
    group: 'What passes',
    describe: 'the same for Wireshark, as pcapng',
  },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
