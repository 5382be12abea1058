/**
 * The schemas of the options whose argument is a comma-separated list of sub-options.
 * @see swtpm(8)
 */
import type { SubOptionSchema } from './option.ts'

const UINT_MAX = 0xffff_ffff
const FD_MAX = 0x7fff_ffff
const PORT_MAX = 0xffff

const fd = (describe: string) => ({ kind: 'uint', max: FD_MAX, metavar: 'FD', describe }) as const
const path = (describe: string) => ({ kind: 'string', metavar: 'PATH', describe }) as const
const flag = (describe: string, since?: string) =>
  ({ kind: 'flag', describe, ...(since === undefined ? {} : { since }) }) as const

/** Where a socket is bound and who may open it; the same for `--server` and `--ctrl`. */
const endpoint = {
  path: path('The Unix socket to create; an old one of this name is replaced.'),
  port: { kind: 'uint', max: PORT_MAX, metavar: 'PORT', describe: 'The TCP port to listen on.' },
  bindaddr: {
    kind: 'string',
    metavar: 'ADDRESS',
    describe: 'The IPv4 or IPv6 address to listen on.',
    defaultDescription: '127.0.0.1',
  },
  ifname: {
    kind: 'string',
    metavar: 'NAME',
    describe: 'The network interface of a link-local IPv6 address.',
  },
  mode: {
    kind: 'octal',
    metavar: 'MODE',
    describe: 'File mode bits of the Unix socket, in octal.',
    defaultDescription: '0770',
  },
  uid: { kind: 'owner', metavar: 'USER', describe: 'User that owns the Unix socket; needs root rights.' },
  gid: { kind: 'owner', metavar: 'GROUP', describe: 'Group that owns the Unix socket; needs root rights.' },
} as const satisfies SubOptionSchema

export const serverSchema = {
  type: {
    kind: 'enum',
    choices: ['tcp', 'unixio'],
    describe: 'Kind of socket that takes TPM commands.',
    defaultDescription: 'tcp',
  },
  ...endpoint,
  fd: fd('Open socket to use: with type=tcp a connection, with type=unixio a listening socket.'),
  disconnect: flag('Close the connection after each response.'),
} as const satisfies SubOptionSchema

export const ctrlSchema = {
  type: {
    kind: 'enum',
    choices: ['unixio', 'tcp'],
    describe: 'Kind of socket that takes control commands; required.',
  },
  ...endpoint,
  fd: fd('Listening socket to accept control connections from.'),
  clientfd: fd('Connected socket of the one control client; type=unixio only.'),
  terminate: flag('End the TPM when the control connection is lost.', '0.8'),
} as const satisfies SubOptionSchema

export const tpmstateSchema = {
  dir: {
    kind: 'string',
    metavar: 'DIR',
    describe: 'Directory of the state files; overrides TPM_PATH.',
  },
  'backend-uri': {
    kind: 'string',
    metavar: 'URI',
    describe: 'Place of the state: dir://DIR, or file://PATH for one file or block device.',
    since: '0.7',
  },
  mode: {
    kind: 'octal',
    metavar: 'MODE',
    describe: 'File mode bits of the state files, in octal.',
    defaultDescription: '0640',
  },
  lock: {
    kind: 'bool',
    describe: 'Lock the state against a second process.',
    since: '0.10',
    defaultDescription: 'true for dir, false for file://',
  },
  backup: { kind: 'bool', describe: 'Keep a copy of the last permanent state (dir only).', since: '0.11' },
  fsync: {
    kind: 'bool',
    describe: 'Have the state on the disk before a command is answered.',
    since: '0.11',
    defaultDescription: 'true',
  },
  journal: {
    kind: 'bool',
    describe:
      'Keep the permanent state in a journal beside its file while it changes often (dir only, extension).',
    defaultDescription: 'true; false with backup',
  },
} as const satisfies SubOptionSchema

export const keySchema = {
  file: path('File that holds the AES key.'),
  fd: fd('Open file to read the AES key from.'),
  pwdfile: path('File that holds a passphrase from which the key is derived.'),
  pwdfd: { ...fd('Open file to read the passphrase from.'), since: '0.2' },
  format: {
    kind: 'enum',
    choices: ['hex', 'binary'],
    describe: 'How the key is written: hex digits, optionally after 0x, or bytes.',
    defaultDescription: 'hex',
  },
  mode: {
    kind: 'enum',
    choices: ['aes-cbc', 'aes-128-cbc', 'aes-256-cbc'],
    describe: 'Cipher and key size; aes-cbc means aes-128-cbc.',
    defaultDescription: 'aes-128-cbc',
  },
  kdf: {
    kind: 'enum',
    choices: ['pbkdf2', 'sha512'],
    describe: 'How the key is derived from the passphrase.',
    defaultDescription: 'pbkdf2',
  },
  remove: {
    kind: 'bool',
    describe: 'Remove the file once the key has been read.',
    defaultDescription: 'false',
  },
} as const satisfies SubOptionSchema

export const logSchema = {
  file: path('File to append to; - for no log at all.'),
  fd: fd('Open file to write to.'),
  level: {
    kind: 'uint',
    max: UINT_MAX,
    metavar: 'N',
    describe: 'How much is logged; from 5 on libtpms logs too.',
    defaultDescription: '1',
  },
  prefix: { kind: 'string', metavar: 'TEXT', describe: 'Text in front of every line.' },
  truncate: flag('Empty the log file first.'),
  format: {
    kind: 'enum',
    choices: ['text', 'json'],
    describe: 'Plain lines, or one JSON object a line; overrides SWTPM_LOG_FORMAT (extension).',
    defaultDescription: 'text',
  },
} as const satisfies SubOptionSchema

export const pidSchema = {
  file: path('File to write the process id to; removed at the end.'),
  fd: fd('Regular file, open for writing, to write the process id to.'),
} as const satisfies SubOptionSchema

export const localitySchema = {
  'reject-locality-4': flag('Refuse to be set to locality 4.'),
  'allow-set-locality': flag(
    'Obey SetLocality commands on the data channel, as the vTPM proxy driver sends them.',
  ),
} as const satisfies SubOptionSchema

export const flagsSchema = {
  'not-need-init': flag('Take TPM commands at once, without an INIT on the control channel.'),
  'startup-clear': flag('Start the TPM up with ST_CLEAR; implies not-need-init.', '0.3'),
  'startup-state': flag('Start the TPM up with ST_STATE; implies not-need-init.', '0.3'),
  'startup-deactivated': flag('Start a TPM 1.2 up deactivated; implies not-need-init.', '0.3'),
  'startup-none': flag('Send no Startup; the default except with --vtpm-proxy.', '0.3'),
  'disable-auto-shutdown': flag('Send no TPM2_Shutdown before a reset or the end.', '0.8'),
} as const satisfies SubOptionSchema

export const migrationSchema = {
  incoming: flag('Lock the state only when the migrated state arrives.', '0.8'),
  'release-lock-outgoing': flag('Unlock the state when it has been handed out.', '0.8'),
} as const satisfies SubOptionSchema

export const seccompSchema = {
  action: {
    kind: 'enum',
    choices: ['none', 'log', 'kill'],
    describe: 'What happens on a system call that the TPM may not make.',
    defaultDescription: 'kill',
  },
} as const satisfies SubOptionSchema

export const profileSchema = {
  name: { kind: 'string', metavar: 'NAME', describe: 'A profile that libtpms knows, see --print-profiles.' },
  profile: { kind: 'string', metavar: 'JSON', describe: 'The profile itself, a JSON object.' },
  file: path('File that holds the profile.'),
  fd: fd('Open file to read the profile from.'),
  'remove-disabled': {
    kind: 'enum',
    choices: ['check', 'fips-host'],
    describe: "Leave out of a custom profile what OpenSSL's FIPS mode disables.",
  },
} as const satisfies SubOptionSchema

export const pcapSchema = {
  file: path('File that TPM commands and responses are written to as pcapng.'),
  fd: fd('Open file to write to.'),
  mode: {
    kind: 'octal',
    metavar: 'MODE',
    describe: 'File mode bits of the file, in octal.',
    defaultDescription: '0640',
  },
  truncate: flag('Empty the file first.'),
  checksums: flag('Compute IP and TCP checksums.'),
} as const satisfies SubOptionSchema
