/** `--log`, `--pid`, `--ready-fd`, `--pcap`, `--trace` and `--record`: what swtpm writes besides its state. */

import type { Given } from '../../programs/common/options/given-options.ts'
import { type SubOptionValues, withDefaults } from '../../programs/common/options/sub-option.ts'
import type { LogConfig, PcapConfig, PidFileTarget, TraceConfig } from '../../serve/config.ts'
import type { RecordConfig } from '../../serve/trace/recorder.ts'
import { DEFAULT_LOG_PREFIX } from '../../system/log.ts'
import type { InheritedDescriptor } from '../../system/process/ready-descriptor.ts'
import { CommandLineError } from '../exit/command-line-error.ts'
import { logSchema, pcapSchema, pidSchema, traceSchema } from '../options/sub-options.ts'
import { descriptorOf, givenSubOptions, subOptionsOf } from './given.ts'
import { parseSubOptions, subOptionError } from './sub-options.ts'

/**
 * `--log`: lines go to standard error unless a file is given, which wins over a descriptor. With the option there is no
 * prefix unless one is chosen, and the level is at least 1: `file=-` is the way to be silent.
 */
export function logOf(given: Given<'log'>, env: NodeJS.ProcessEnv): LogConfig {
  const chosen = givenSubOptions(given, 'log', logSchema, 'setup')
  const values = withDefaults(logSchema, chosen)
  return {
    destination: logDestination(values),
    level: values.level || 1,
    prefix: chosen === undefined ? DEFAULT_LOG_PREFIX : (chosen.prefix ?? ''),
    format: chosen?.format ?? environmentFormat(env) ?? values.format,
  }
}

function logDestination(values: SubOptionValues<typeof logSchema>): LogConfig['destination'] {
  if (values.file === '-') return { kind: 'none' }
  if (values.file !== undefined) return { kind: 'file', path: values.file, truncate: values.truncate }
  return values.fd !== undefined ? { kind: 'fd', fd: values.fd } : { kind: 'stderr' }
}

function environmentFormat(env: NodeJS.ProcessEnv): LogConfig['format'] | undefined {
  const text = env.SWTPM_LOG_FORMAT
  if (text === undefined || text === '') return undefined
  if (text === 'text' || text === 'json') return text
  throw new CommandLineError('setup', `SWTPM_LOG_FORMAT "${text}" is neither text nor json`)
}

export function pidOf(given: Given<'pid'>): PidFileTarget | undefined {
  const values = subOptionsOf(given, 'pid', pidSchema)
  if (values === undefined) return undefined
  if (values.file !== undefined) return { kind: 'file', path: values.file }
  if (values.fd !== undefined) return { kind: 'fd', fd: values.fd }
  throw subOptionError('pid', 'one of file=PATH and fd=FD is required')
}

export function readyFdOf(given: Given<'ready-fd'>): InheritedDescriptor | undefined {
  const fd = descriptorOf(given, 'ready-fd')
  return fd === undefined ? undefined : { kind: 'fd', fd }
}

export function pcapOf(given: Given<'pcap'>): PcapConfig | undefined {
  const values = subOptionsOf(given, 'pcap', pcapSchema)
  if (values === undefined) return undefined
  const common = {
    mode: values.mode,
    truncate: values.truncate,
    checksums: values.checksums,
  }
  if (values.file !== undefined) return { destination: { kind: 'file', path: values.file }, ...common }
  if (values.fd !== undefined) return { destination: { kind: 'fd', fd: values.fd }, ...common }
  throw subOptionError('pcap', 'one of file=PATH and fd=FD is required')
}

export function recordOf(given: Given<'record'>): RecordConfig | undefined {
  const path = given.text('record')
  return path === undefined ? undefined : { path }
}

/** `--trace FILE,json` is short for `--trace file=FILE,json`. */
export function traceOf(given: Given<'trace'>, daemonize: boolean): TraceConfig | undefined {
  const text = given.text('trace')
  if (text === undefined) return undefined
  const [first = ''] = text.split(',')
  const isShort = !first.includes('=') && !Object.hasOwn(traceSchema, first)
  const list = isShort && first !== '' ? `file=${text}` : text
  const values = withDefaults(traceSchema, parseSubOptions('trace', list, traceSchema))
  const { json, secrets, mode, truncate, file, fd } = values
  const common = { json, secrets, mode, truncate }
  if (file === '-' && daemonize)
    throw subOptionError(
      'trace',
      'in the background there is no standard output; name a file, or stay in the foreground',
      'general',
    )
  if (file === '-') return { destination: { kind: 'stdout' }, ...common }
  if (file !== undefined) return { destination: { kind: 'file', path: file }, ...common }
  if (fd !== undefined) return { destination: { kind: 'fd', fd }, ...common }
  throw subOptionError('trace', 'one of FILE, file=PATH and fd=FD is required')
}
