/**
 * THE option table of swtpm: one declaration for each option of the socket, chardev and cuse interfaces.
 *
 * Order is the order of the help text. Names, letters and meanings are those of swtpm(8); what newer releases added says
 * so in `since`, what is ours alone says `extension`.
 */

import type { OptionSpec } from '../../programs/common/options/option-table.ts'
import { INTERFACES, type Interface, IOCTL_USERS } from '../../serve/config.ts'
import { groups } from './groups.ts'
import type { OptionRow } from './option.ts'
import {
  ctrlSchema,
  flagsSchema,
  keySchema,
  localitySchema,
  logSchema,
  migrationSchema,
  pcapSchema,
  pidSchema,
  profileSchema,
  scriptSocketSchema,
  seccompSchema,
  serverSchema,
  tpmstateSchema,
  traceSchema,
} from './sub-options.ts'

const everywhere: readonly Interface[] = INTERFACES
const sockets: readonly Interface[] = ['socket']
const chardevs: readonly Interface[] = ['chardev']
const cuses: readonly Interface[] = ['cuse']
const shared: readonly Interface[] = ['socket', 'cuse']
const attached: readonly Interface[] = ['socket', 'chardev']

export const optionTable = {
  // socket ------------------------------------------------------------------------------------------------------------
  server: {
    interfaces: sockets,
    group: groups.socket,
    sub: serverSchema,
    describe:
      'Take TPM commands on a TCP or Unix socket. The connection stays open between commands unless ' +
      'disconnect is given. Use this rather than --port and --fd.',
  },
  port: {
    alias: 'p',
    interfaces: sockets,
    group: groups.socket,
    value: 'PORT',
    describe:
      'Take TPM commands on this TCP port of 127.0.0.1, one connection a command. Overrides TPM_PORT.',
  },
  terminate: {
    alias: 't',
    interfaces: sockets,
    group: groups.socket,
    describe: 'End the TPM when the client has closed the data connection.',
  },

  // chardev -----------------------------------------------------------------------------------------------------------
  'vtpm-proxy': {
    interfaces: chardevs,
    group: groups.chardev,
    describe:
      'Make a TPM device of the Linux kernel (/dev/tpmN) and serve it. Implies --flags startup-clear and ' +
      '--locality allow-set-locality.',
  },
  chardev: {
    alias: 'c',
    interfaces: chardevs,
    group: groups.chardev,
    value: 'DEVICE',
    describe: 'Read TPM commands from this device and write the responses to it.',
  },

  // cuse --------------------------------------------------------------------------------------------------------------
  name: {
    alias: 'n',
    interfaces: cuses,
    group: groups.cuse,
    value: 'NAME',
    describe: 'Make the device /dev/NAME; required.',
  },
  maj: {
    alias: 'M',
    interfaces: cuses,
    group: groups.cuse,
    value: 'MAJOR',
    defaultDescription: 'chosen by the kernel',
    describe: 'Major number of the device.',
  },
  min: {
    alias: 'm',
    interfaces: cuses,
    group: groups.cuse,
    value: 'MINOR',
    defaultDescription: '0',
    describe: 'Minor number of the device.',
  },
  foreground: {
    extension: cuses,
    interfaces: cuses,
    group: groups.cuse,
    describe: 'Stay attached to the terminal or service manager; without it the TPM goes to the background.',
  },

  'ioctl-users': {
    extension: cuses,
    interfaces: cuses,
    group: groups.cuse,
    value: 'WHO',
    choices: IOCTL_USERS,
    defaultDescription: 'all',
    describe:
      'Who may control the TPM by ioctls: all who may open the device, the user that swtpm runs as and root (owner), or root alone.',
  },

  'resource-manager': {
    extension: shared,
    interfaces: shared,
    group: groups.connection,
    describe:
      'Serve many clients at once, each with keys and sessions of its own: with cuse on a second device, /dev/NAMErm; with ' +
      'socket on the socket itself. For a TPM 2.0.',
  },

  // socket and chardev ------------------------------------------------------------------------------------------------
  fd: {
    alias: 'f',
    interfaces: attached,
    group: groups.connection,
    value: 'FD',
    describe:
      'Take TPM commands from this open file descriptor (3 or higher): a connected socket, or a character ' +
      'device. With socket it implies --terminate.',
  },
  ctrl: {
    interfaces: attached,
    group: groups.connection,
    sub: ctrlSchema,
    describe: 'Take control commands on a socket: start, reset, stop, migrate the TPM (see swtpm_ioctl(8)).',
  },
  daemon: {
    alias: 'd',
    interfaces: attached,
    group: groups.connection,
    describe: 'Go to the background once the TPM is ready.',
  },

  // all ---------------------------------------------------------------------------------------------------------------
  pid: {
    interfaces: everywhere,
    group: groups.connection,
    sub: pidSchema,
    describe: 'Write the process id into a file.',
  },
  'ready-fd': {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.connection,
    value: 'FD',
    describe:
      'Write READY=1 and a newline to this open file descriptor (3 or higher), and close it, when clients can use the ' +
      'TPM. When the start fails, close it only.',
  },
  runas: {
    alias: 'r',
    interfaces: everywhere,
    group: groups.connection,
    value: 'USER',
    describe: 'Run as this user; needs to be started as root.',
  },
  chroot: {
    alias: 'R',
    since: '0.8',
    interfaces: everywhere,
    group: groups.connection,
    value: 'DIR',
    describe: 'Make this directory the root directory before any file is opened.',
  },
  sysfs: {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.connection,
    value: 'DIR',
    describe:
      'Mount in this empty directory what /sys/class/tpm/tpmN shows of a TPM: tpm_version_major, pcr-sha256/0 and so on, to be read ' +
      'by all when swtpm is started as root. Needs FUSE.',
  },
  seccomp: {
    since: '0.2',
    interfaces: everywhere,
    group: groups.connection,
    sub: seccompSchema,
    describe: 'What to do when the TPM makes a system call that it has no need of.',
  },
  tpmstate: {
    interfaces: everywhere,
    group: groups.state,
    sub: tpmstateSchema,
    describe: 'Where the TPM keeps its state.',
  },
  key: {
    interfaces: everywhere,
    group: groups.state,
    sub: keySchema,
    describe: 'Encrypt the state files with an AES key, or with one derived from a passphrase.',
  },
  'migration-key': {
    interfaces: everywhere,
    group: groups.state,
    sub: keySchema,
    describe: 'Encrypt the state that is handed out for migration; the state files are not affected.',
  },
  migration: {
    since: '0.8',
    interfaces: everywhere,
    group: groups.state,
    sub: migrationSchema,
    describe: 'When the state is locked and unlocked while the TPM moves to another host.',
  },
  tpm2: {
    interfaces: everywhere,
    group: groups.behaviour,
    describe: 'Be a TPM 2.0; without it a TPM 1.2.',
  },
  flags: {
    interfaces: everywhere,
    group: groups.behaviour,
    sub: flagsSchema,
    describe: 'How the TPM starts and ends.',
  },
  locality: {
    interfaces: everywhere,
    group: groups.behaviour,
    sub: localitySchema,
    describe: 'Which localities may be set, and by whom.',
  },
  profile: {
    since: '0.10',
    interfaces: everywhere,
    group: groups.behaviour,
    sub: profileSchema,
    describe: 'The algorithms and commands that a new TPM 2.0 has; needs libtpms 0.10.',
  },
  'seed-insecure': {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.behaviour,
    value: 'N',
    describe:
      'The same keys, random numbers and clock in every run with this number (0 to 4294967295): for tests. Whoever knows the ' +
      'number knows all keys. For a new state directory, or one made with the same number.',
  },
  fault: {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.script,
    value: 'RULE',
    describe:
      "What goes wrong with which command, such as 'GetRandom#1-2: rc=RETRY'; may be given more than once. RULE help prints " +
      'the words of the language.',
  },
  'fault-seed': {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.script,
    value: 'N',
    defaultDescription: '0',
    describe: 'Which commands a rule with a chance strikes: the same ones for the same number.',
  },
  mode: {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.script,
    value: 'NAME[=VALUE]',
    describe:
      'A TPM of another kind, or in another state, from the start on: lockout, failure, buffers=2048; may be given more than ' +
      'once. NAME help prints what there is.',
  },
  script: {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.script,
    value: 'FILE',
    describe:
      'A module of JavaScript that decides about the commands: export default (tpm, effects) => { … }. It is part of this program, ' +
      'and has its rights.',
  },
  'script-socket': {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.script,
    sub: scriptSocketSchema,
    describe:
      'Take rules from swtpm fault and from programs in any language on this socket, while the TPM is served. PATH alone means ' +
      'path=PATH. Those who may use the socket see all commands and decide what is answered.',
  },
  behind: {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.script,
    value: 'TPM',
    suggestions: ['device:/dev/tpm0', 'unix:', 'tcp:', 'recording:'],
    describe:
      'Have another TPM answer in place of libtpms: device:PATH, unix:PATH, tcp:HOST:PORT, or ' +
      'recording:FILE[,else=FAILURE|stop|ours][,fast], which plays a recording. Without --tpmstate.',
  },
  log: {
    interfaces: everywhere,
    group: groups.diagnosis,
    sub: logSchema,
    defaultDescription: 'level 1 on standard error',
    describe: 'Where to log and how much.',
  },
  pcap: {
    since: '0.11',
    interfaces: everywhere,
    group: groups.diagnosis,
    sub: pcapSchema,
    describe: 'Write TPM commands and responses to a pcapng file for Wireshark.',
  },
  trace: {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.diagnosis,
    sub: traceSchema,
    describe: 'Write TPM commands and responses in words, a line for each command; --trace FILE is enough.',
  },
  record: {
    extension: everywhere,
    interfaces: everywhere,
    group: groups.diagnosis,
    value: 'FILE',
    describe:
      'Write what clients ask and are given to a recording (.tpmrec) that can be replayed and played.',
  },
  'print-capabilities': {
    since: '0.2',
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print what this swtpm can do, as JSON.',
  },
  'print-states': {
    since: '0.7',
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print which parts of a state --tpmstate holds, as JSON.',
  },
  'print-profiles': {
    since: '0.10',
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print the profiles that libtpms knows, as JSON.',
  },
  'print-info': {
    since: '0.10',
    interfaces: everywhere,
    group: groups.information,
    value: 'FLAGS',
    describe:
      'Print what libtpms says of the TPM, as JSON. FLAGS is a sum of 1 specification, 2 attributes, ' +
      '4 features, 8 algorithms, 16 commands, 32 active profile, 64 profiles, 128 runtime attributes.',
  },
  version: {
    alias: 'v',
    extension: attached,
    interfaces: everywhere,
    group: groups.information,
    endsReading: true,
    describe: 'Print the version.',
  },
  help: {
    alias: 'h',
    interfaces: everywhere,
    group: groups.information,
    endsReading: true,
    describe: 'Print this help.',
  },
} as const satisfies { readonly [name: string]: OptionRow }

/** Long name of an option. */
export type OptionName = keyof typeof optionTable
/** Also options of subcommands whose values are lists of sub-options, too. */
export type ListOptionName = OptionName | 'new-key'

/** The row of an option, with all the columns that a row may have. */
export function optionRow(name: OptionName): OptionRow {
  return optionTable[name]
}

/** The rows of the options that an interface knows, in table order. */
export function optionsOf(iface: Interface): [OptionName, OptionRow][] {
  const rows = Object.entries(optionTable) as [OptionName, OptionRow][]
  return rows.filter(([, row]) => row.interfaces.includes(iface))
}

/** What the reader of command lines needs of them. */
export function interfaceTable(iface: Interface): { readonly [N in OptionName]: OptionSpec } {
  const rows = optionsOf(iface).map(([name, row]) => [
    name,
    { ...row, unabbreviated: row.extension?.includes(iface) ?? false },
  ])
  return Object.fromEntries(rows)
}
