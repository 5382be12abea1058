/** `--log`, `--pid` and `--pcap`: what swtpm writes besides its state. */

import type { LogConfig, PcapConfig, PidFileTarget } from '../../../serve/config.ts'
import { DEFAULT_LOG_PREFIX } from '../../../system/log.ts'
import { logSchema, pcapSchema, pidSchema } from '../options/sub-options.ts'
import { CommandLineError } from './command-line-error.ts'
import type { GivenOptions } from './getopt.ts'
import { subOptionsOf } from './given.ts'
import { subOptionError } from './sub-options.ts'

const DEFAULT_PCAP_MODE = 0o640

/**
 * `--log`: lines go to standard error unless a file is given, which wins over a descriptor. With the option there is no
 * prefix unless one is chosen, and the level is at least 1: `file=-` is the way to be silent.
 */
export function logOf(given: GivenOptions, env: NodeJS.ProcessEnv): LogConfig {
  const values = subOptionsOf(given, 'log', logSchema, 'setup')
  const format = values?.format ?? environmentFormat(env)
  if (values === undefined)
    return { destination: { kind: 'stderr' }, level: 1, prefix: DEFAULT_LOG_PREFIX, format }
  return {
    destination: logDestination(values),
    level: values.level || 1,
    prefix: values.prefix ?? '',
    format,
  }
}

function logDestination(values: {
  readonly file?: string
  readonly fd?: number
  readonly truncate?: boolean
}) {
  if (values.file === '-') return { kind: 'none' } as const
  if (values.file !== undefined) {
    return { kind: 'file', path: values.file, truncate: values.truncate ?? false } as const
  }
  if (values.fd !== undefined) return { kind: 'fd', fd: values.fd } as const
  return { kind: 'stderr' } as const
}

function environmentFormat(env: NodeJS.ProcessEnv): LogConfig['format'] {
  const text = env.SWTPM_LOG_FORMAT
  if (text === undefined || text === '') return 'text'
  if (text === 'text' || text === 'json') return text
  throw new CommandLineError('setup', `SWTPM_LOG_FORMAT "${text}" is neither text nor json`)
}

export function pidOf(given: GivenOptions): PidFileTarget | undefined {
  const values = subOptionsOf(given, 'pid', pidSchema)
  if (values === undefined) return undefined
  if (values.file !== undefined) return { kind: 'file', path: values.file }
  if (values.fd !== undefined) return { kind: 'fd', fd: values.fd }
  throw subOptionError('pid', 'one of file=PATH and fd=FD is required')
}

export function pcapOf(given: GivenOptions): PcapConfig | undefined {
  const values = subOptionsOf(given, 'pcap', pcapSchema)
  if (values === undefined) return undefined
  const common = {
    mode: values.mode ?? DEFAULT_PCAP_MODE,
    truncate: values.truncate ?? false,
    checksums: values.checksums ?? false,
  }
  if (values.file !== undefined) return { destination: { kind: 'file', path: values.file }, ...common }
  if (values.fd !== undefined) return { destination: { kind: 'fd', fd: values.fd }, ...common }
  throw subOptionError('pcap', 'one of file=PATH and fd=FD is required')
}
