/** What an engine must know of the command line, and what starts it. */

import type { EngineOptions } from '../engine-client/channel/engine-program.ts'
import { Spawner } from '../engine-client/channel/spawner.ts'
import type { Keeper } from '../keeper/keeper.ts'
import { log } from '../system/log.ts'
import type { User } from '../system/process/users.ts'
import type { CommonConfig, StoredTpm } from './config.ts'
import { KeeperSpawner } from './keeper-spawner.ts'

const STDERR = 2
/** Level at which the log shows the bytes of TPM commands. */
export const COMMAND_BYTES = 2

export function engineOptions(
  config: CommonConfig & StoredTpm,
  stateFd: number,
  allowSetLocality: boolean,
): EngineOptions {
  return {
    ...config.engine,
    tpmVersion: config.tpmVersion,
    backend: config.state.kind,
    stateFd,
    allowSetLocality,
    seccomp: config.seccomp,
    trace: config.pcap !== undefined || log.isEnabled(COMMAND_BYTES),
    logLevel: config.log.level,
    logPrefix: config.log.prefix,
  }
}

/** The part of a configuration, of one TPM or of a fleet, that the spawner depends on. */
interface SpawnerConfig {
  readonly daemonize: boolean
  readonly freshEngines?: boolean
}

/** In the background we close the terminal; an engine must not keep it open. */
const engineLog = ({ daemonize }: SpawnerConfig): number | undefined =>
  daemonize && log.fd <= STDERR ? undefined : log.fd

/**
 * A process that starts engines of many TPMs, also when we cannot any more.
 * @param user the user that they run as, if another than ours
 */
export const startSpawner = (config: SpawnerConfig, user?: User): Spawner =>
  new Spawner({ logFd: engineLog(config), user, freshEngines: config.freshEngines ?? false })

/** The engines of one TPM, as children of the keeper. @param user undefined: the one that it has, or is the keeper's by now */
export const keeperSpawner = (keeper: Keeper, config: SpawnerConfig, user: User | undefined): KeeperSpawner =>
  new KeeperSpawner(keeper, { logFd: engineLog(config), user })
