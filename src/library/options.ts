/** What a TPM is made with, and the configuration that follows from it. */

import { parseCommandLine } from '../command-line/parse/parse-command-line.ts'
import type { SocketConfig } from '../serve/config.ts'
import { SwtpmError } from '../system/errors.ts'
import { requireNames, requireOneOf, wrongArgument } from './arguments.ts'
import type { Behind } from './behind.ts'

export type TpmVersion = '2' | '1.2'
/** The Startup that is sent when the TPM is powered on. */
export type Startup = 'clear' | 'state' | 'none'

export interface TpmOptions {
  /** `'2'` without it. */
  readonly version?: TpmVersion
  /** A directory, which is made if only its last part is missing; without it the state is in memory, and gone with the TPM. */
  readonly state?: string
  /** `'clear'` without it; `'none'` for those who test start-up. */
  readonly startup?: Startup
  /** The same keys, random numbers and clock in every run: a TPM without secrets, for tests. */
  readonly seedInsecure?: number
  /** What answers in place of this program's own TPM: `device()`, `connection()`, `recording()`. */
  readonly behind?: Behind
  /** An EK and platform certificate, as swtpm_setup makes them. A TPM that is in `state` keeps those that it has. */
  readonly certificates?: boolean
  /** A TPM of another kind, or in another state, from the start on: `'lockout'`, `['buffers=2048', 'slots=3/3']`. */
  readonly mode?: string | readonly string[]
  /** Rules that hold from the first command on. */
  readonly faults?: readonly string[]
  /** Of what goes by chance in rules: the same commands are struck for the same number. */
  readonly faultSeed?: number
  /**
   * Further words of the command line of `swtpm socket`, for what has no option of its own here. `--trace`, `--record` and
   * `--pcap` have the commands of `send()`, too, each when it is over.
   * @example ['--locality', 'reject-locality-4']
   */
  readonly words?: readonly string[]
}

/** Takes no client: the library's devices come later. */
const NOWHERE = '/nonexistent'

const OPTIONS: Readonly<Record<keyof TpmOptions, true>> = {
  version: true,
  state: true,
  startup: true,
  seedInsecure: true,
  behind: true,
  certificates: true,
  mode: true,
  faults: true,
  faultSeed: true,
  words: true,
}
const MAX_SEED = 2 ** 32 - 1
export const STARTUPS: readonly Startup[] = ['clear', 'state', 'none']

/** @throws TypeError: an option is not what it can be */
function check(options: TpmOptions): void {
  const { version = '2', startup = 'clear', faults = [], words = [], behind, state } = options
  requireNames('createTpm()', options, Object.keys(OPTIONS))
  requireOneOf('version', version, ['2', '1.2'])
  requireOneOf('startup', startup, STARTUPS)
  if (state !== undefined && typeof state !== 'string')
    throw wrongArgument('state', state, 'the path of a directory')
  for (const [name, list] of Object.entries({ faults, words }))
    if (!Array.isArray(list)) throw wrongArgument(name, list, 'an array of strings')
  for (const name of ['seedInsecure', 'faultSeed'] as const) {
    const seed = options[name] ?? 0
    if (!(Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED))
      throw wrongArgument(name, seed, `a number from 0 to ${MAX_SEED}`)
  }
  if (behind !== undefined && typeof behind?.kind !== 'string')
    throw wrongArgument('behind', behind, 'what device(), connection() or recording() return')
}

/** @throws Error: an option is wrong */
export function configOf(options: TpmOptions): SocketConfig {
  check(options)
  const {
    version = '2',
    startup = 'clear',
    mode = [],
    faults = [],
    faultSeed,
    seedInsecure,
    behind,
    words = [],
  } = options
  const config = parseCommandLine(
    [
      ...(version === '2' ? ['--tpm2'] : []),
      ...['--tpmstate', `dir=${NOWHERE}`, '--ctrl', `type=unixio,path=${NOWHERE}`],
      ...(seedInsecure === undefined ? [] : ['--seed-insecure', String(seedInsecure)]),
      ...[mode].flat().flatMap((name) => ['--mode', name]),
      ...faults.flatMap((rule) => ['--fault', rule]),
      ...words,
    ],
    {},
    'socket',
  )
  if (config.action !== 'run' || config.interface !== 'socket')
    throw new SwtpmError('SWTPM_ERR_SCRIPT', 'the words ask for something to be printed, and not for a TPM')
  return {
    ...config,
    engine: { ...config.engine, sync: options.state !== undefined },
    allowSetLocality: true,
    flags: { needInit: false, startup },
    control: undefined,
    server: undefined,
    log: { ...config.log, prefix: '' },
    script: {
      ...config.script,
      behind: behind ?? config.script?.behind,
      faults: config.script?.faults ?? [],
      faultSeed: faultSeed ?? config.script?.faultSeed,
      socket: config.script?.socket,
    },
  }
}
