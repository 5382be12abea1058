/** Starts tpm-engine with the descriptors it inherits, and finds its executable. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { SwtpmError } from '../errors.ts'
import { check, native } from '../native.ts'
import { installedFile } from '../paths.ts'
import type { TpmVersion } from '../protocol/tpm-header.ts'
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
  /** Where libtpms's debug output goes; nowhere when undefined. */
  readonly logFd: number | undefined
  /** Whom the engine runs as; ourselves when undefined. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined
}

export interface StartedEngine {
  readonly child: ChildProcess
  /** Our end of the channel: non-blocking, close-on-exec. */
  readonly channelFd: number
}

/** The engine's program: what SWTPM_ENGINE names, or the one that belongs to this installation. */
const enginePath = (): string =>
  process.env.SWTPM_ENGINE || installedFile('native/build/Release/tpm-engine', 'npm run build:native')

function engineArguments(options: EngineOptions): string[] {
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
function engineEnvironment(): NodeJS.ProcessEnv {
  const path = process.env.LD_LIBRARY_PATH
  return path === undefined ? {} : { LD_LIBRARY_PATH: path }
}

/** @throws SwtpmError SWTPM_ERR_ENGINE_START */
export function startEngine(options: EngineOptions): StartedEngine {
  const pair = native.socketPair()
  if (typeof pair === 'number') check(pair, 'make a socket pair for the engine')
  const [ours, theirs] = pair as [number, number]
  try {
    // Detached: a terminal's ^C reaches the supervisor alone, which then ends the engine in order.
    const child = spawn(enginePath(), engineArguments(options), {
      stdio: ['ignore', 'ignore', options.logFd ?? 'ignore', theirs, options.stateFd],
      detached: true,
      ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
      cwd: '/',
      env: engineEnvironment(),
    })
    return { child, channelFd: ours }
  } catch (error) {
    closeSync(ours)
    throw new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot start the engine: ${(error as Error).message}`, {
      cause: error,
    })
  } finally {
    closeSync(theirs)
  }
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
    const why = result.error?.message ?? result.stderr.trim()
    throw new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot ask "${path}" what it supports: ${why}`)
  }
  return JSON.parse(result.stdout) as EngineInfo
}
