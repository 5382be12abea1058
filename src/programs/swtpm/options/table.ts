/**
 * THE option table of swtpm: one declaration for each option of the socket, chardev and cuse interfaces.
 *
 * Order is the order of the help text. Names, letters and meanings are those of swtpm(8); what newer releases added says
 * so in `since`, what is ours alone says `extension`.
 */
import { groups } from './groups.ts'
import type { Interface, OptionRow, OptionTable } from './option.ts'
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
  seccompSchema,
  serverSchema,
  tpmstateSchema,
} from './sub-options.ts'

const everywhere: readonly Interface[] = ['socket', 'chardev', 'cuse']
const sockets: readonly Interface[] = ['socket']
const chardevs: readonly Interface[] = ['chardev']
const cuses: readonly Interface[] = ['cuse']
const attached: readonly Interface[] = ['socket', 'chardev']

export const optionTable = {
  // socket ------------------------------------------------------------------------------------------------------------
  server: {
    type: 'string',
    requiresArg: true,
    interfaces: sockets,
    group: groups.socket,
    sub: serverSchema,
    synopsis: [
      '[type=tcp][,port=PORT[,bindaddr=ADDRESS[,ifname=NAME]]][,fd=FD][,disconnect]',
      'type=unixio[,path=PATH][,fd=FD][,mode=MODE][,uid=USER][,gid=GROUP][,disconnect]',
    ],
    describe:
      'Take TPM commands on a TCP or Unix socket. The connection stays open between commands unless ' +
      'disconnect is given. Use this rather than --port and --fd.',
  },
  port: {
    type: 'string',
    alias: 'p',
    requiresArg: true,
    interfaces: sockets,
    group: groups.socket,
    metavar: 'PORT',
    describe:
      'Take TPM commands on this TCP port of 127.0.0.1, one connection a command. Overrides TPM_PORT.',
  },
  terminate: {
    type: 'boolean',
    alias: 't',
    interfaces: sockets,
    group: groups.socket,
    describe: 'End the TPM when the client has closed the data connection.',
  },

  // chardev -----------------------------------------------------------------------------------------------------------
  'vtpm-proxy': {
    type: 'boolean',
    interfaces: chardevs,
    group: groups.chardev,
    conflicts: ['chardev', 'fd'],
    describe:
      'Make a TPM device of the Linux kernel (/dev/tpmN) and serve it. Implies --flags startup-clear and ' +
      '--locality allow-set-locality.',
  },
  chardev: {
    type: 'string',
    alias: 'c',
    requiresArg: true,
    interfaces: chardevs,
    group: groups.chardev,
    conflicts: ['fd', 'vtpm-proxy'],
    metavar: 'DEVICE',
    describe: 'Read TPM commands from this device and write the responses to it.',
  },

  // cuse --------------------------------------------------------------------------------------------------------------
  name: {
    type: 'string',
    alias: 'n',
    requiresArg: true,
    interfaces: cuses,
    group: groups.cuse,
    metavar: 'NAME',
    describe: 'Make the device /dev/NAME; required.',
  },
  maj: {
    type: 'string',
    alias: 'M',
    requiresArg: true,
    interfaces: cuses,
    group: groups.cuse,
    metavar: 'MAJOR',
    defaultDescription: 'chosen by the kernel',
    describe: 'Major number of the device.',
  },
  min: {
    type: 'string',
    alias: 'm',
    requiresArg: true,
    interfaces: cuses,
    group: groups.cuse,
    metavar: 'MINOR',
    defaultDescription: '0',
    describe: 'Minor number of the device.',
  },
  foreground: {
    type: 'boolean',
    extension: cuses,
    interfaces: cuses,
    group: groups.cuse,
    describe: 'Stay attached to the terminal or service manager; without it the TPM goes to the background.',
  },

  // socket and chardev ------------------------------------------------------------------------------------------------
  fd: {
    type: 'string',
    alias: 'f',
    requiresArg: true,
    interfaces: attached,
    group: groups.connection,
    metavar: 'FD',
    describe:
      'Take TPM commands from this open file descriptor (3 or higher): a connected socket, or a character ' +
      'device. With socket it implies --terminate.',
  },
  ctrl: {
    type: 'string',
    requiresArg: true,
    interfaces: attached,
    group: groups.connection,
    sub: ctrlSchema,
    synopsis: [
      'type=unixio[,path=PATH][,fd=FD|clientfd=FD][,mode=MODE][,uid=USER][,gid=GROUP][,terminate]',
      'type=tcp[,port=PORT[,bindaddr=ADDRESS[,ifname=NAME]]][,fd=FD][,terminate]',
    ],
    describe: 'Take control commands on a socket: start, reset, stop, migrate the TPM (see swtpm_ioctl(8)).',
  },
  daemon: {
    type: 'boolean',
    alias: 'd',
    interfaces: attached,
    group: groups.connection,
    describe: 'Go to the background once the TPM is ready.',
  },

  // all ---------------------------------------------------------------------------------------------------------------
  pid: {
    type: 'string',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.connection,
    sub: pidSchema,
    synopsis: ['file=PATH|fd=FD'],
    describe: 'Write the process id into a file.',
  },
  runas: {
    type: 'string',
    alias: 'r',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.connection,
    metavar: 'USER',
    describe: 'Run as this user; needs to be started as root.',
  },
  chroot: {
    type: 'string',
    alias: 'R',
    requiresArg: true,
    since: '0.8',
    interfaces: everywhere,
    group: groups.connection,
    metavar: 'DIR',
    describe: 'Make this directory the root directory before any file is opened.',
  },
  seccomp: {
    type: 'string',
    requiresArg: true,
    since: '0.2',
    interfaces: everywhere,
    group: groups.connection,
    sub: seccompSchema,
    synopsis: ['action=none|log|kill'],
    describe: 'What to do when the TPM makes a system call that it has no need of.',
  },
  tpmstate: {
    type: 'string',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.state,
    sub: tpmstateSchema,
    synopsis: ['dir=DIR|backend-uri=URI[,mode=MODE][,lock[=BOOL]][,backup][,fsync[=BOOL]][,journal[=BOOL]]'],
    describe: 'Where the TPM keeps its state.',
  },
  key: {
    type: 'string',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.state,
    sub: keySchema,
    synopsis: [
      'file=PATH|fd=FD[,format=hex|binary][,mode=MODE][,remove[=BOOL]]',
      'pwdfile=PATH|pwdfd=FD[,mode=MODE][,kdf=pbkdf2|sha512][,remove[=BOOL]]',
    ],
    describe: 'Encrypt the state files with an AES key, or with one derived from a passphrase.',
  },
  'migration-key': {
    type: 'string',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.state,
    sub: keySchema,
    synopsis: [
      'file=PATH|fd=FD[,format=hex|binary][,mode=MODE][,remove[=BOOL]]',
      'pwdfile=PATH|pwdfd=FD[,mode=MODE][,kdf=pbkdf2|sha512][,remove[=BOOL]]',
    ],
    describe: 'Encrypt the state that is handed out for migration; the state files are not affected.',
  },
  migration: {
    type: 'string',
    requiresArg: true,
    since: '0.8',
    interfaces: everywhere,
    group: groups.state,
    sub: migrationSchema,
    synopsis: ['[incoming][,release-lock-outgoing]'],
    describe: 'When the state is locked and unlocked while the TPM moves to another host.',
  },
  tpm2: {
    type: 'boolean',
    interfaces: everywhere,
    group: groups.behaviour,
    describe: 'Be a TPM 2.0; without it a TPM 1.2.',
  },
  flags: {
    type: 'string',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.behaviour,
    sub: flagsSchema,
    synopsis: [
      '[not-need-init][,startup-clear|startup-state|startup-deactivated|startup-none][,disable-auto-shutdown]',
    ],
    describe: 'How the TPM starts and ends.',
  },
  locality: {
    type: 'string',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.behaviour,
    sub: localitySchema,
    synopsis: ['[reject-locality-4][,allow-set-locality]'],
    describe: 'Which localities may be set, and by whom.',
  },
  profile: {
    type: 'string',
    requiresArg: true,
    feature: 'cmdarg-profile',
    since: '0.10',
    interfaces: everywhere,
    group: groups.behaviour,
    sub: profileSchema,
    synopsis: ['name=NAME|profile=JSON|file=PATH|fd=FD[,remove-disabled=check|fips-host]'],
    describe: 'The algorithms and commands that a new TPM 2.0 has; needs libtpms 0.10.',
  },
  log: {
    type: 'string',
    requiresArg: true,
    interfaces: everywhere,
    group: groups.diagnosis,
    sub: logSchema,
    synopsis: ['file=PATH|fd=FD[,level=N][,prefix=TEXT][,truncate][,format=text|json]'],
    defaultDescription: 'level 1 on standard error',
    describe: 'Where to log and how much.',
  },
  pcap: {
    type: 'string',
    requiresArg: true,
    feature: 'cmdarg-pcap',
    since: '0.11',
    interfaces: everywhere,
    group: groups.diagnosis,
    sub: pcapSchema,
    synopsis: ['file=PATH|fd=FD[,mode=MODE][,truncate][,checksums]'],
    describe: 'Write TPM commands and responses to a pcapng file for Wireshark.',
  },
  'print-capabilities': {
    type: 'boolean',
    since: '0.2',
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print what this swtpm can do, as JSON.',
  },
  'print-states': {
    type: 'boolean',
    since: '0.7',
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print which parts of a state --tpmstate holds, as JSON.',
  },
  'print-profiles': {
    type: 'boolean',
    since: '0.10',
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print the profiles that libtpms knows, as JSON.',
  },
  'print-info': {
    type: 'string',
    requiresArg: true,
    since: '0.10',
    interfaces: everywhere,
    group: groups.information,
    metavar: 'FLAGS',
    describe:
      'Print what libtpms says of the TPM, as JSON. FLAGS is a sum of 1 specification, 2 attributes, ' +
      '4 features, 8 algorithms, 16 commands, 32 active profile, 64 profiles, 128 runtime attributes.',
  },
  version: {
    type: 'boolean',
    alias: 'v',
    extension: attached,
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print the version.',
  },
  help: {
    type: 'boolean',
    alias: 'h',
    interfaces: everywhere,
    group: groups.information,
    describe: 'Print this help.',
  },
} as const satisfies OptionTable

/** Long name of an option. */
export type OptionName = keyof typeof optionTable

/** The row of an option, with all the columns that a row may have. */
export function optionRow(name: OptionName): OptionRow {
  return optionTable[name]
}

/** The options that an interface knows, in table order. */
export function optionsOf(iface: Interface): [OptionName, OptionRow][] {
  const rows = Object.entries(optionTable) as [OptionName, OptionRow][]
  return rows.filter(([, row]) => row.interfaces.includes(iface))
}
