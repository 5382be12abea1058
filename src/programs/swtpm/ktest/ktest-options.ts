/** The options of `swtpm ktest`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'
import { SPLAT_CLASSES } from './splat-classes.ts'
import { SUITE_NAMES } from './suite/suite-names.ts'

const KERNEL = 'Kernel'
const TPMS = 'TPMs'
const GUEST = 'Guest'
const JUDGING = 'Judging'

export const KTEST_OPTIONS = {
  kernel: {
    value: '6.1|6.12|PATH',
    suggestions: ['6.1', '6.12'],
    group: KERNEL,
    describe:
      "Debian's stock kernel of this series (fetched by apt, not installed), a bzImage, or a tree that Linux was built in",
    defaultDescription: "the first that Debian's archive has",
  },
  modules: {
    value: 'DIR',
    group: KERNEL,
    describe: 'the modules of a kernel by path: /lib/modules/RELEASE, or what INSTALL_MOD_PATH was',
  },
  module: {
    value: 'FILE.ko',
    group: KERNEL,
    describe:
      "load this module in place of the kernel's of that name, or in addition; may be given more than once",
  },
  cmdline: { value: 'TEXT', group: KERNEL, describe: "add this to the kernel's command line" },
  gdb: {
    group: KERNEL,
    describe: 'wait for a debugger on TCP port 1234 of the loopback before the first instruction',
  },
  tpm: {
    value: '[NAME=]vtpm|cuse|tis|crb[,1.2][,fault=RULE]…[,mode=NAME[=VALUE]]…[,seed=N]',
    suggestions: ['vtpm', 'cuse', 'tis', 'crb'],
    group: TPMS,
    describe:
      'a TPM: served in the guest as a device of the vTPM proxy or of CUSE, or as the hardware behind tpm_tis or tpm_crb; may be ' +
      'given more than once',
    defaultDescription: 'one vtpm',
  },
  root: {
    value: 'host|memory',
    choices: ['host', 'memory'],
    group: GUEST,
    describe:
      "the guest's root directory: this host's, whose writes are lost; or a small one in memory, which outlasts a suspend",
  },
  with: {
    value: 'PATH',
    group: GUEST,
    describe:
      'put this file, directory or program into the root directory in memory, with the libraries that it needs; may be given ' +
      'more than once',
  },
  share: {
    value: 'DIR',
    group: GUEST,
    describe: 'let the guest write to this directory for real; may be given more than once',
  },
  env: {
    value: 'NAME=VALUE',
    group: GUEST,
    describe: 'set a variable for the command; may be given more than once',
  },
  cpus: {
    value: 'N',
    group: GUEST,
    describe: "processors; 2 for what only happens between two, though emulated ones get in each other's way",
    defaultDescription: '1',
  },
  icount: {
    group: GUEST,
    describe: 'one emulated processor whose clock counts its instructions: times repeat within 1 %',
  },
  'fail-on': {
    value: 'CLASS[,CLASS]…',
    suggestions: SPLAT_CLASSES,
    group: JUDGING,
    describe: `exit with 64 and more when the kernel's log has one of these: ${SPLAT_CLASSES.join(', ')}`,
  },
  suite: {
    value: 'driver|selftests|FILE.mjs',
    suggestions: SUITE_NAMES,
    group: JUDGING,
    describe:
      "in place of a command: regressions of the kernel's TPM driver, as KTAP; each names the fix that the kernel lacks. Or the " +
      "kernel's own tests of TPMs, which are in its tree; or rows of yours: docs/driver-testing.md",
  },
  'in-guest': { value: 'ROW[,ROW]…', hidden: true, group: JUDGING, describe: "the guest's half of --suite" },
  timeout: {
    value: 'SECONDS',
    group: JUDGING,
    describe: 'end the machine, and exit with 124, when the command runs longer',
  },
  out: {
    value: 'DIR',
    group: JUDGING,
    describe:
      'write dmesg.txt there, and what passed between driver and TPM: trace.pcapng, in words trace.txt, with several TPMs trace-NAME; and ' +
      'for swtpm replay tpm-NAME.tpmrec',
  },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
