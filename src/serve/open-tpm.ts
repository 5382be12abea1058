/** A TPM with its state and its engine, before anything is served or powered on. */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import type { AttachKind } from '../../contract/engine-channel.ts'
import type { EngineSpawner } from '../engine-client/channel/spawned-engine.ts'
import { EngineClient, type RunningTpm } from '../engine-client/engine-client.ts'
import { NO_SHARED_STATE } from '../engine-client/succession/engine-starter.ts'
import type { Keeper } from '../keeper/keeper.ts'
import { log } from '../system/log.ts'
import { checkSeed } from '../tpm/state/insecure-seed.ts'
import { lockOf, type OpenState, openState } from '../tpm/state/state-location.ts'
import { type SavedTpm, Tpm } from '../tpm/tpm.ts'
import type { CommonConfig, StoredTpm } from './config.ts'
import { engineLog } from './engine-log.ts'
import { engineOptions } from './engine-options.ts'
import { EngineSecrets } from './engine-secrets.ts'
import { warnOfOtherVersion } from './other-version.ts'
import type { RestRecord } from './rest/rest-record.ts'

export interface OpenTpmOptions {
  /** Obey SetLocality on the data channel. */
  readonly allowSetLocality?: boolean
  /** What will be our root directory later: the state's path is below it. */
  readonly root?: string
  /** Make a missing state directory. */
  readonly createDirectory?: boolean
  /** Holds the lock on the state; this process without one. */
  readonly keeper?: Keeper | undefined
  /**
   * Called with the state when it is open, and not locked yet.
   * @returns what is called when the state is let go
   * @throws what the start fails with; the descriptor is then kept by who was called
   */
  readonly claimState?: ((fd: number) => () => void) | undefined
}

export interface OpenTpm {
  readonly tpm: Tpm
  readonly engine: EngineClient
  /** Reads the keys, and the profile of a TPM that is to be made. @throws SwtpmError */
  readSecrets(): void
  /** Starts the engine, and hands it what {@link readSecrets} reads. @throws SwtpmError */
  equip(): Promise<void>
  /** Powers it off for good, ends the engine and lets the state go. */
  close(): Promise<void>
}

/**
 * Opens the state. The engine is started when it is first asked for something.
 * @param spawner what starts its engines; the caller's to close
 * @throws SwtpmError
 */
export function openTpm(
  config: CommonConfig & StoredTpm,
  spawner: EngineSpawner,
  { allowSetLocality = false, root = '', createDirectory = false, keeper, claimState }: OpenTpmOptions = {},
): OpenTpm {
  const { state, tpmVersion } = config
  const opened = openState(state, { sync: config.engine.sync, root, createDirectory, keeper })
  const release = claimState?.(opened.fd)
  if (state.kind === 'dir') {
    checkSeed(join(root, state.path), config.seedInsecure)
    if (!config.migration.incoming) warnOfOtherVersion(join(root, state.path), tpmVersion)
  }
  const engine = new EngineClient(spawner, engineOptions(config, opened.fd, allowSetLocality))
  const tpm = new Tpm(engine, opened.lock, {
    version: tpmVersion,
    incomingMigration: config.migration.incoming,
    ...whatItIs(config),
  })
  return whole(config, tpm, opened, release)
}

/**
 * Goes on with a TPM that an earlier supervisor has opened.
 * @throws SwtpmError
 */
export function resumeTpm(
  config: CommonConfig & StoredTpm,
  spawner: EngineSpawner,
  keeper: Keeper,
  allowSetLocality: boolean,
  record: RestRecord,
): OpenTpm {
  const { state, tpmVersion } = config
  const fd = record.take('state')
  const lock = lockOf(state, state.path, fd, keeper)
  const { attached, managed, ...engineState } = record.get<SavedEngine>('engine')
  const engine = new EngineClient(spawner, engineOptions(config, fd, allowSetLocality), {
    ...engineState,
    succession: { ...engineState.succession, channelFd: record.take('engine') },
    attached: attached && { ...attached, fd: record.take('attached') },
    managed: managed && { ...managed, fd: record.take('managed') },
    sharedStateFd: record.has('sharedState') ? record.take('sharedState') : NO_SHARED_STATE,
  })
  const tpm = new Tpm(engine, lock, {
    version: tpmVersion,
    incomingMigration: false,
    ...whatItIs(config),
  })
  tpm.resume(record.get<SavedTpm>('tpm'))
  return whole(config, tpm, { fd, lock })
}

/** @returns false while something is under way */
export function leaveTpm({ tpm, engine }: Pick<OpenTpm, 'tpm' | 'engine'>, record: RestRecord): boolean {
  const saved = engine.save()
  const tpmState = tpm.save()
  if (saved === undefined || tpmState === undefined) return false
  const { channelFd, ...succession } = saved.succession
  const { attached, managed } = saved
  record.watch('engine', channelFd)
  if (attached !== undefined) record.keep('attached', attached.fd)
  if (managed !== undefined) record.keep('managed', managed.fd)
  record.put('tpm', tpmState)
  record.put('engine', {
    served: saved.served,
    succession,
    attached: attached && { kind: attached.kind, flags: attached.flags },
    managed: managed && { kind: managed.kind, flags: managed.flags },
  } satisfies SavedEngine)
  return true
}

const whatItIs = ({ seedInsecure, script }: CommonConfig) => ({
  keepsNoSecrets: seedInsecure !== undefined,
  isElsewhere:
    script?.behind !== undefined &&
    !(script.behind.kind === 'recording' && script.behind.otherwise === 'ours'),
})

interface SavedEngine extends Pick<RunningTpm, 'served'> {
  readonly succession: Omit<RunningTpm['succession'], 'channelFd'>
  readonly attached: SavedAttached | undefined
  /** Older supervisors have left none. */
  readonly managed?: SavedAttached | undefined
}

interface SavedAttached {
  readonly kind: AttachKind
  readonly flags: number
}

function whole(
  config: CommonConfig & StoredTpm,
  tpm: Tpm,
  { fd, lock }: OpenState,
  release = () => {},
): OpenTpm {
  const { engine } = tpm
  let secrets: EngineSecrets | undefined
  const readSecrets = (): EngineSecrets => {
    secrets ??= new EngineSecrets(config)
    return secrets
  }
  engine.on('log', engineLog())
  return {
    tpm,
    engine,
    readSecrets,
    async equip() {
      engine.start()
      await readSecrets().giveTo(engine)
    },
    async close() {
      secrets?.wipe()
      const ended = await tpm.end()
      if (ended) lock.unlock()
      // The engine may still store. It keeps the lock on the state, and so do we as long as this process lasts.
      else log.error(`The engine has not ended: "${config.state.path}" stays locked until it does`)
      closeSync(fd)
      if (ended) release()
    },
  }
}
