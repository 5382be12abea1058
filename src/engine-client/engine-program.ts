/** The engine's program: where it lies, its command line, and what it says of itself. */
import { spawnSync } from 'node:child_process'
import { SwtpmError } from '../system/errors.ts'
import { installedFile } from '../system/paths.ts'
import { reasonOf } from '../system/reason.ts'
import type { TpmVersion } from '../tpm-commands/tpm-header.ts'
import type { EngineInfo } from './engine-info.ts'

/** What an engine is started with; keys follow over the channel, never as arguments. */
export interface EngineOptions {
  readonly tpmVersion: TpmVersion
  readonly backend: 'dir' | 'linear'
  /** The state directory, or the file or block device of the linear backend, open for reading and writing. */
  readonly stateFd: number
  /** Mode of new state files, as the umask leaves it unless `modeGiven`. */
  readonly mode: number
  readonly modeGiven: boolean
  readonly sync: boolean
  readonly backup: boolean
  /** Permanent states that follow one another closely go to a journal; not together with `backup`. */
  readonly journal: boolean
  readonly allowSetLocality: boolean
  readonly rejectLocality4: boolean
  readonly autoShutdown: boolean
  readonly seccomp: 'none' | 'log' | 'kill'
  readonly logLevel: number
  readonly logPrefix: string
  /** Send every TPM command and response here, as `trace` events. */
  readonly trace: boolean
}

/** What SWTPM_ENGINE names, or the one that belongs to this installation. */
export const enginePath = (): string =>
  process.env.SWTPM_ENGINE || installedFile('native/build/Release/tpm-engine', 'npm run build:native')

export function engineArguments(options: EngineOptions): string[] {
  const args = ['--tpm', options.tpmVersion, '--backend', options.backend, '--mode', options.mode.toString(8)]
  if (options.modeGiven) args.push('--mode-given')
  if (!options.sync) args.push('--no-sync')
  if (options.backup) args.push('--backup')
  if (options.journal) args.push('--journal')
  if (options.allowSetLocality) args.push('--allow-set-locality')
  if (options.rejectLocality4) args.push('--reject-locality-4')
  if (!options.autoShutdown) args.push('--no-auto-shutdown')
  if (options.trace) args.push('--trace')
  args.push('--log-level', String(options.logLevel), '--seccomp', options.seccomp)
  if (options.logPrefix !== '') args.push('--log-prefix', options.logPrefix)
  return args
}

/** The engine needs nothing of our environment but the way to a libtpms outside the system's folders. */
export function engineEnvironment(): NodeJS.ProcessEnv {
  const path = process.env.LD_LIBRARY_PATH
  return path === undefined ? {} : { LD_LIBRARY_PATH: path }
}

/**
 * Asks an engine, without a TPM, what it and libtpms can do.
 * @param flags TPMLIB_GetInfo flags
 */
export function engineInfo(flags: number, tpmVersion: TpmVersion): EngineInfo {
  const path = enginePath()
  const result = spawnSync(path, ['--print-info', String(flags), '--tpm', tpmVersion], {
    encoding: 'utf8',
    env: engineEnvironment(),
  })
  if (result.status !== 0) {
    const why = result.error === undefined ? result.stderr.trim() : reasonOf(result.error)
    throw new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot ask "${path}" what it supports: ${why}`)
  }
  return JSON.parse(result.stdout) as EngineInfo
}
