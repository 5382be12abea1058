/** The options of `swtpm fleet`: the parser, its help and shell completion are made from this table. */
import { join } from 'node:path'
import {
  fleetCtrlSchema,
  logSchema,
  pidSchema,
  seccompSchema,
} from '../../../command-line/options/sub-options.ts'
import type { OptionTable } from '../../common/options/option-table.ts'
import { UsageError } from '../../common/options/usage-error.ts'

const SERVING = 'The supervisor'

export const FLEET_OPTIONS = {
  ctrl: {
    sub: fleetCtrlSchema,
    group: 'Both',
    describe: 'the socket over which TPMs are added, removed and listed; mode 0600 unless another is given',
  },
  tpms: {
    value: 'FILE',
    group: SERVING,
    describe: 'TPMs to begin with, one a line, "NAME: socket --tpm2 --tpmstate dir=DIR …"',
  },
  'fresh-engines': {
    group: SERVING,
    describe: 'execute the engine anew for each TPM: address spaces of their own, more time and memory',
  },
  log: {
    sub: logSchema,
    group: SERVING,
    describe: 'as with swtpm socket; each line begins with the name of its TPM',
  },
  pid: { sub: pidSchema, group: SERVING, describe: 'write the process id there' },
  'ready-fd': {
    value: 'FD',
    group: SERVING,
    describe:
      'write READY=1 and a newline to this open file descriptor, and close it, when the TPMs of --tpms are served',
  },
  runas: {
    value: 'USER',
    group: SERVING,
    describe: 'become this user; then TPMs on sockets and existing devices only, as new devices take root',
  },
  seccomp: { sub: seccompSchema, group: SERVING, describe: 'as with swtpm socket' },
  daemon: { alias: 'd', group: SERVING, describe: 'go to the background once the TPMs are served' },
  foreground: { group: SERVING, describe: 'stay; this is so unless --daemon is given' },
  json: { group: 'swtpm fleet list', describe: 'print the list as JSON' },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable

export const FLEET_VERBS = ['add', 'remove', 'list'] as const
export type FleetVerb = (typeof FLEET_VERBS)[number]

/**
 * Where the socket is when --ctrl does not say it: where the environment says, or in a directory that belongs to the user alone. In /tmp another user
 * could have made a socket of that name before.
 * @throws UsageError where there is no such directory
 */
export function defaultSocketPath(
  env: NodeJS.ProcessEnv,
  isRoot: boolean = process.geteuid?.() === 0,
): string {
  const named = env.SWTPM_FLEET_SOCKET
  if (named !== undefined && named !== '') return named
  const directory = isRoot ? '/run' : env.XDG_RUNTIME_DIR
  if (directory === undefined || directory === '')
    throw new UsageError(
      'Missing --ctrl type=unixio,path=PATH: there is no default socket, because XDG_RUNTIME_DIR is not set; SWTPM_FLEET_SOCKET=PATH names one for all calls',
      'ctrl',
    )
  return join(directory, 'swtpm-fleet.sock')
}
