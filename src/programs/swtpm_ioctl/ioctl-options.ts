/** THE option table of swtpm_ioctl. @see swtpm_ioctl(8) */

import { STATE_BLOBS } from '../../../contract/state-blobs.ts'
import { endpointOptions } from '../common/endpoint-option.ts'
import type { OptionTable } from '../common/options/option-table.ts'

export const DEFAULT_CONTROL_PORT = 6546

const LOCALITIES = ['0', '1', '2', '3', '4']

const command = 'Commands, exactly one'
const information = 'Information'

export const ioctlOptions = {
  ...endpointOptions(
    'use this CUSE device; it may also be the last argument, or stand in the environment variable TPM_DEVICE',
    DEFAULT_CONTROL_PORT,
  ),
  c: { group: command, describe: 'print the capability flags: which commands are supported' },
  i: {
    group: command,
    describe: 'power the TPM on; volatile state, if there is any, is resumed and deleted',
  },
  stop: { group: command, describe: 'power the TPM off; -i powers it on again' },
  s: { group: command, describe: 'shut the TPM down; swtpm ends' },
  e: { group: command, describe: 'print the tpmEstablished bit' },
  r: {
    group: command,
    value: 'LOCALITY',
    suggestions: LOCALITIES,
    describe: 'reset the tpmEstablished bit; needs locality 3 or 4',
  },
  v: { group: command, describe: 'store the volatile state in a file' },
  C: { group: command, describe: 'cancel the TPM command that is being executed' },
  l: {
    group: command,
    value: 'LOCALITY',
    suggestions: LOCALITIES,
    describe: 'set the locality of the following commands: 0 to 4',
  },
  h: {
    group: command,
    value: 'DATA',
    describe: 'reset PCR 17 and extend it with the hash of DATA, or of standard input if DATA is -',
  },
  save: {
    group: command,
    value: 'TYPE',
    suggestions: Object.keys(STATE_BLOBS),
    operand: 'filename',
    describe: 'followed by FILE: save a state blob in it; TYPE is permanent, volatile or savestate',
  },
  load: {
    group: command,
    value: 'TYPE',
    suggestions: Object.keys(STATE_BLOBS),
    operand: 'filename',
    describe: 'followed by FILE: load a state blob from it into a stopped TPM',
  },
  g: { group: command, describe: 'print the configuration flags: which keys are in use' },
  b: {
    group: command,
    value: 'SIZE',
    describe: 'set the size of the TPM’s buffer (0: leave it) and print it with its limits',
  },
  info: {
    group: command,
    value: 'FLAGS',
    describe:
      'print information on the TPM as JSON. FLAGS is a sum of 1 specification, 2 attributes, 4 features, ' +
      '8 algorithms, 16 commands, 32 active profile, 64 profiles, 128 runtime attributes',
  },
  'lock-storage': {
    group: command,
    value: 'RETRIES',
    describe: 'lock the storage again after a migration; try as often as said, every 10 ms',
  },
  json: {
    group: information,
    describe: 'with -c, -e, -g and -b: print JSON, capabilities and keys by name; --info prints JSON anyhow',
  },
  version: { group: information, describe: 'print the version', endsReading: true },
  help: { group: information, describe: 'print this help', endsReading: true },
} as const satisfies OptionTable

export type IoctlOption = keyof typeof ioctlOptions
