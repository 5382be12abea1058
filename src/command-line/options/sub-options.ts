/**
 * The schemas of the options whose value is a list of sub-options, with what holds without each.
 * @see swtpm(8)
 */
import type { SwtpmSchema } from './engine-settings.ts'

const UINT_MAX = 0xffff_ffff
const FD_MAX = 0x7fff_ffff
const PORT_MAX = 0xffff

const fd = (describe: string) => ({ kind: 'uint', max: FD_MAX, metavar: 'FD', describe }) as const
const path = (describe: string) => ({ kind: 'string', metavar: 'PATH', describe }) as const
const flag = (describe: string, since?: string) =>
  ({ kind: 'flag', describe, ...(since === undefined ? {} : { since }) }) as const
/** Exactly one of several, one after the other in the schema, that say where something is. */
const place = { oneOf: 'place', required: true } as const

/** A Unix socket that is made. */
const unixEndpoint = {
  path: { ...path('The Unix socket to create; an old one of this name is replaced.'), way: 'unixio' },
  mode: {
    kind: 'octal',
    metavar: 'MODE',
    way: 'unixio',
    describe: 'File mode bits of the Unix socket, in octal.',
    default: 0o770,
  },
  uid: {
    kind: 'owner',
    metavar: 'USER',
    way: 'unixio',
    describe: 'User that owns the Unix socket; needs root rights.',
  },
  gid: {
    kind: 'owner',
    metavar: 'GROUP',
    way: 'unixio',
    describe: 'Group that owns the Unix socket; needs root rights.',
  },
} as const satisfies SwtpmSchema

const tcpEndpoint = {
  port: {
    kind: 'uint',
    max: PORT_MAX,
    metavar: 'PORT',
    way: 'tcp',
    describe: 'The TCP port to listen on.',
  },
  bindaddr: {
    kind: 'string',
    metavar: 'ADDRESS',
    way: 'tcp',
    describe: 'The IPv4 or IPv6 address to listen on.',
    default: '127.0.0.1',
  },
  ifname: {
    kind: 'string',
    metavar: 'NAME',
    way: 'tcp',
    describe: 'The network interface of a link-local IPv6 address.',
  },
} as const satisfies SwtpmSchema

export const serverSchema = {
  type: {
    kind: 'enum',
    choices: ['tcp', 'unixio'],
    describe: 'Kind of socket that takes TPM commands.',
    default: 'tcp',
  },
  ...tcpEndpoint,
  ...unixEndpoint,
  fd: fd('Open socket to use: with type=tcp a connection, with type=unixio a listening socket.'),
  disconnect: flag('Close the connection after each response.'),
} as const satisfies SwtpmSchema

export const ctrlSchema = {
  type: {
    kind: 'enum',
    choices: ['unixio', 'tcp'],
    required: true,
    describe: 'Kind of socket that takes control commands; required.',
  },
  ...unixEndpoint,
  ...tcpEndpoint,
  fd: { ...fd('Listening socket to accept control connections from.'), oneOf: 'descriptor' },
  clientfd: {
    ...fd('Connected socket of the one control client; type=unixio only.'),
    way: 'unixio',
    oneOf: 'descriptor',
  },
  terminate: flag('End the TPM when the control connection is lost.', '0.8'),
} as const satisfies SwtpmSchema

/** `swtpm fleet --ctrl`: who may write to the socket may start programs as the fleet's user. */
export const fleetCtrlSchema = {
  type: {
    kind: 'enum',
    choices: ['unixio'],
    required: true,
    describe: 'Kind of socket that takes requests; required.',
  },
  ...unixEndpoint,
  path: { ...unixEndpoint.path, required: true },
  mode: { ...unixEndpoint.mode, default: 0o600 },
} as const satisfies SwtpmSchema

/** `--script-socket`: who may write to the socket controls what the TPM answers. */
export const scriptSocketSchema = {
  path: { ...unixEndpoint.path, required: true },
  mode: { ...unixEndpoint.mode, default: 0o600 },
  uid: unixEndpoint.uid,
  gid: unixEndpoint.gid,
} as const satisfies SwtpmSchema

export const tpmstateSchema = {
  dir: {
    ...place,
    kind: 'string',
    metavar: 'DIR',
    describe: 'Directory of the state files; overrides TPM_PATH.',
  },
  'backend-uri': {
    ...place,
    kind: 'string',
    metavar: 'URI',
    describe: 'Place of the state: dir://DIR, or file://PATH for one file or block device.',
    since: '0.7',
  },
  mode: {
    engine: 'mode',
    kind: 'octal',
    metavar: 'MODE',
    describe: 'File mode bits of the state files, in octal.',
    default: 0o640,
  },
  lock: {
    kind: 'bool',
    describe: 'Lock the state against a second process.',
    since: '0.10',
    default: true,
    defaultNote: 'false for file://',
  },
  backup: {
    engine: 'backup',
    kind: 'bool',
    describe: 'Keep a copy of the last permanent state (dir only).',
    since: '0.11',
    default: false,
  },
  fsync: {
    engine: 'sync',
    kind: 'bool',
    describe: 'Have the state on the disk before a command is answered.',
    since: '0.11',
    default: true,
  },
  journal: {
    engine: 'journal',
    kind: 'bool',
    describe:
      'Keep the permanent state in a journal beside its file while it changes often (dir only, extension).',
    default: true,
    defaultNote: 'false with backup',
  },
} as const satisfies SwtpmSchema

export const keySchema = {
  file: { ...place, ...path('File that holds the AES key.'), way: 'key' },
  fd: { ...place, ...fd('Open file to read the AES key from.'), way: 'key' },
  pwdfile: {
    ...place,
    ...path('File that holds a passphrase from which the key is derived.'),
    way: 'passphrase',
  },
  pwdfd: {
    ...place,
    ...fd('Open file to read the passphrase from.'),
    way: 'passphrase',
    since: '0.2',
  },
  format: {
    kind: 'enum',
    choices: ['hex', 'binary'],
    way: 'key',
    describe: 'How the key is written: hex digits, optionally after 0x, or bytes.',
    default: 'hex',
  },
  mode: {
    kind: 'enum',
    choices: ['aes-cbc', 'aes-128-cbc', 'aes-256-cbc'],
    describe: 'Cipher and key size; aes-cbc means aes-128-cbc.',
    default: 'aes-128-cbc',
  },
  kdf: {
    kind: 'enum',
    choices: ['pbkdf2', 'sha512'],
    way: 'passphrase',
    describe: 'How the key is derived from the passphrase.',
    default: 'pbkdf2',
  },
  remove: {
    kind: 'bool',
    describe: 'Remove the file once the key has been read.',
    default: false,
  },
} as const satisfies SwtpmSchema

export const logSchema = {
  file: { ...path('File to append to; - for no log at all.'), oneOf: 'place' },
  fd: { ...fd('Open file to write to.'), oneOf: 'place' },
  level: {
    kind: 'uint',
    max: UINT_MAX,
    metavar: 'N',
    describe: 'How much is logged; from 5 on libtpms logs too.',
    default: 1,
  },
  prefix: { kind: 'string', metavar: 'TEXT', describe: 'Text in front of every line.' },
  truncate: flag('Empty the log file first.'),
  format: {
    kind: 'enum',
    choices: ['text', 'json'],
    describe: 'Plain lines, or one JSON object a line; overrides SWTPM_LOG_FORMAT (extension).',
    default: 'text',
  },
} as const satisfies SwtpmSchema

export const pidSchema = {
  file: { ...place, ...path('File to write the process id to; removed at the end.') },
  fd: { ...place, ...fd('Regular file, open for writing, to write the process id to.') },
} as const satisfies SwtpmSchema

export const localitySchema = {
  'reject-locality-4': { ...flag('Refuse to be set to locality 4.'), engine: 'rejectLocality4' },
  'allow-set-locality': flag(
    'Obey SetLocality commands on the data channel, as the vTPM proxy driver sends them.',
  ),
} as const satisfies SwtpmSchema

export const flagsSchema = {
  'not-need-init': flag('Take TPM commands at once, without an INIT on the control channel.'),
  'startup-clear': {
    ...flag('Power the TPM on and send Startup(ST_CLEAR); implies not-need-init.', '0.3'),
    oneOf: 'startup',
  },
  'startup-state': {
    ...flag('Power the TPM on and send Startup(ST_STATE); implies not-need-init.', '0.3'),
    oneOf: 'startup',
  },
  'startup-deactivated': {
    ...flag('Power a TPM 1.2 on and send Startup(ST_DEACTIVATED); implies not-need-init.', '0.3'),
    oneOf: 'startup',
  },
  'startup-none': {
    ...flag('Send no Startup; the default except with --vtpm-proxy.', '0.3'),
    oneOf: 'startup',
  },
  'disable-auto-shutdown': {
    ...flag('Send no TPM2_Shutdown before a reset or the end.', '0.8'),
    engine: '!autoShutdown',
  },
} as const satisfies SwtpmSchema

export const migrationSchema = {
  incoming: flag('Lock the state only when the migrated state arrives.', '0.8'),
  'release-lock-outgoing': flag('Unlock the state when it has been handed out.', '0.8'),
} as const satisfies SwtpmSchema

export const seccompSchema = {
  action: {
    kind: 'enum',
    choices: ['none', 'log', 'kill'],
    required: true,
    describe: 'What happens on a system call that the TPM may not make.',
    default: 'kill',
  },
} as const satisfies SwtpmSchema

export const profileSchema = {
  name: {
    ...place,
    kind: 'string',
    metavar: 'NAME',
    describe: 'A profile that libtpms knows, see --print-profiles.',
  },
  profile: { ...place, kind: 'string', metavar: 'JSON', describe: 'The profile itself, a JSON object.' },
  file: { ...place, ...path('File that holds the profile.') },
  fd: { ...place, ...fd('Open file to read the profile from.') },
  'remove-disabled': {
    kind: 'enum',
    choices: ['check', 'fips-host'],
    describe:
      "Leave out of a custom profile what OpenSSL's FIPS mode disables; check: only what OpenSSL refuses on this host.",
  },
} as const satisfies SwtpmSchema

export const traceSchema = {
  file: {
    ...place,
    ...path('File that the lines are appended to; - is standard output. The name alone will do.'),
  },
  fd: { ...place, ...fd('Open file to write to.') },
  json: flag('JSON lines, with all parameters.'),
  secrets: flag('Passwords, sensitive data and the like, too; otherwise their length only.'),
  mode: {
    kind: 'octal',
    metavar: 'MODE',
    describe: 'File mode bits of the file, in octal.',
    default: 0o640,
  },
  truncate: flag('Empty the file first.'),
} as const satisfies SwtpmSchema

export const pcapSchema = {
  file: { ...place, ...path('File that TPM commands and responses are written to as pcapng.') },
  fd: { ...place, ...fd('Open file to write to.') },
  mode: {
    kind: 'octal',
    metavar: 'MODE',
    describe: 'File mode bits of the file, in octal.',
    default: 0o640,
  },
  truncate: flag('Empty the file first.'),
  checksums: flag('Compute IP and TCP checksums.'),
} as const satisfies SwtpmSchema
