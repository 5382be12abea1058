/** A TPM with its state and its engine, before anything is served or powered on. */
import { closeSync } from 'node:fs'
import type { EngineSpawner } from '../engine-client/channel/spawned-engine.ts'
import { EngineClient } from '../engine-client/engine-client.ts'
import { log } from '../system/log.ts'
import type { Keeper } from '../system/process/keeper.ts'
import { openState } from '../tpm/state/state-location.ts'
import { Tpm } from '../tpm/tpm.ts'
import type { CommonConfig, StoredTpm } from './config.ts'
import { engineOptions } from './engine-options.ts'
import { giveKeys, giveProfile } from './engine-secrets.ts'

export interface OpenTpmOptions {
  /** Obey SetLocality on the data channel. */
  readonly allowSetLocality?: boolean
  /** What will be our root directory later: the state's path is below it. */
  readonly root?: string
  /** Make a missing state directory. */
  readonly createDirectory?: boolean
  /** Holds the lock on the state; this process without one. */
  readonly keeper?: Keeper | undefined
}

export interface OpenTpm {
  readonly tpm: Tpm
  readonly engine: EngineClient
  /** Hands the engine its keys, and the profile of a TPM that is to be made. @throws SwtpmError */
  equip(): Promise<void>
  /** Powers it off for good, ends the engine and lets the state go. */
  close(): Promise<void>
}

/**
 * Opens the state and starts the engine.
 * @param spawner what starts its engines; the caller's to close
 * @throws SwtpmError
 */
export function openTpm(
  config: CommonConfig & StoredTpm,
  spawner: EngineSpawner,
  { allowSetLocality = false, root = '', createDirectory = false, keeper }: OpenTpmOptions = {},
): OpenTpm {
  const { state, tpmVersion } = config
  const { fd, lock } = openState(state, { sync: config.engine.sync, root, createDirectory, keeper })
  const engine = new EngineClient(spawner, engineOptions(config, fd, allowSetLocality))
  engine.on('log', logEngineLine)
  const tpm = new Tpm(engine, lock, { version: tpmVersion, incomingMigration: config.migration.incoming })
  return {
    tpm,
    engine,
    async equip() {
      await giveKeys(engine, config)
      await giveProfile(engine, config)
    },
    async close() {
      if (await tpm.end()) lock.unlock()
      // The engine may still store. It keeps the lock on the state, and so do we as long as this process lasts.
      else log.error(`The engine has not ended: "${state.path}" stays locked until it does`)
      closeSync(fd)
    },
  }
}

const ERROR = 1
const WARNING = 2

/** @param level that of the engine: 1 error, 2 warning; others are for debugging */
function logEngineLine(level: number, text: string): void {
  if (level <= ERROR) log.error(text)
  else if (level === WARNING) log.warn(text)
  else log.debug(level, text)
}
