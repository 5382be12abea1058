/**
 * The command line of `tpm-engine`: one row for each option, for the supervisor that writes it and the engine that reads it.
 *
 * To add an option, add a row here, run `npm run contract`, give it its value in src/serve/engine-options.ts and use it in
 * the engine as `options.its_name`. No secret is ever an option: keys come by SET_KEY.
 */

export const TPM_VERSIONS = ['1.2', '2'] as const
export type TpmVersion = (typeof TPM_VERSIONS)[number]

/** How state is kept: a directory of files, or one file or block device. */
export const BACKENDS = ['dir', 'linear'] as const
export type Backend = (typeof BACKENDS)[number]

/** What happens on a system call that is not allowed. */
export const SECCOMP_ACTIONS = ['none', 'log', 'kill'] as const
export type SeccompAction = (typeof SECCOMP_ACTIONS)[number]

export type EngineOption = {
  /** Without the two dashes. */
  readonly flag: string
  readonly describe: string
} & (
  | { readonly kind: 'enum'; readonly choices: readonly string[]; readonly cpp: string }
  | { readonly kind: 'octal' | 'decimal'; readonly max: number; readonly default: number }
  | { readonly kind: 'text' }
  /** Given when the value is `when`; the engine takes the opposite otherwise. */
  | { readonly kind: 'switch'; readonly when: boolean }
)

export const ENGINE_OPTIONS = {
  tpmVersion: {
    flag: 'tpm',
    kind: 'enum',
    choices: TPM_VERSIONS,
    cpp: 'TpmVersion',
    describe: 'the version of the TPM',
  },
  backend: {
    flag: 'backend',
    kind: 'enum',
    choices: BACKENDS,
    cpp: 'Backend',
    describe: 'what the state descriptor is: a directory, or one file or block device',
  },
  mode: { flag: 'mode', kind: 'octal', max: 0o777, default: 0o640, describe: 'mode of new state files' },
  modeGiven: {
    flag: 'mode-given',
    kind: 'switch',
    when: true,
    describe: 'the user chose the mode: existing files are changed to it, a failing fchmod is tolerated',
  },
  sync: { flag: 'no-sync', kind: 'switch', when: false, describe: 'do not sync what is stored' },
  backup: {
    flag: 'backup',
    kind: 'switch',
    when: true,
    describe: 'keep a copy of the last permanent state',
  },
  journal: {
    flag: 'journal',
    kind: 'switch',
    when: true,
    describe:
      'permanent states that follow one another closely go to a journal ([0004](0004-journal.md)); not with `--backup`',
  },
  allowSetLocality: {
    flag: 'allow-set-locality',
    kind: 'switch',
    when: true,
    describe: 'obey SetLocality on the data channel',
  },
  rejectLocality4: {
    flag: 'reject-locality-4',
    kind: 'switch',
    when: true,
    describe: 'refuse locality 4',
  },
  autoShutdown: {
    flag: 'no-auto-shutdown',
    kind: 'switch',
    when: false,
    describe: 'send no TPM2_Shutdown before power-off',
  },
  trace: {
    flag: 'trace',
    kind: 'switch',
    when: true,
    describe: 'send every TPM command and response as a TRACE event',
  },
  logLevel: {
    flag: 'log-level',
    kind: 'decimal',
    max: 1000,
    default: 0,
    describe:
      'from 5 on, libtpms logs to fd 2 at this level less 4, and who has started the engine reads that at once',
  },
  seccomp: {
    flag: 'seccomp',
    kind: 'enum',
    choices: SECCOMP_ACTIONS,
    cpp: 'SeccompAction',
    describe: 'what happens on a system call that is not allowed',
  },
  seedInsecure: {
    flag: 'seed-insecure',
    kind: 'text',
    describe: 'the TPM draws its random numbers from this text, and its clock counts commands: for tests',
  },
  resourceManager: {
    flag: 'resource-manager',
    kind: 'switch',
    when: true,
    describe:
      'clients share the TPM, each with objects and sessions of its own ([0008](0008-resource-manager.md))',
  },
  logPrefix: { flag: 'log-prefix', kind: 'text', describe: "in front of libtpms's log lines" },
} as const satisfies Record<string, EngineOption>

type Value<O> = O extends { kind: 'enum'; choices: readonly (infer C)[] }
  ? C
  : O extends { kind: 'octal' | 'decimal' }
    ? number
    : O extends { kind: 'switch' }
      ? boolean
      : string

/** The values of all options. */
export type EngineOptionValues = {
  readonly [Name in keyof typeof ENGINE_OPTIONS]: Value<(typeof ENGINE_OPTIONS)[Name]>
}

/** The command line for these values. */
export function engineArguments(values: EngineOptionValues): string[] {
  return Object.entries(ENGINE_OPTIONS).flatMap(([name, option]: [string, EngineOption]) => {
    const value = values[name as keyof EngineOptionValues]
    const flag = `--${option.flag}`
    if (option.kind === 'switch') return value === option.when ? [flag] : []
    if (value === '') return []
    return [flag, option.kind === 'octal' ? value.toString(8) : String(value)]
  })
}
