/** What starts engines: the keeper, or a process of our own. */

import type { SeccompAction } from '../../contract/engine-options.ts'
import type { Spawner } from '../engine-client/channel/spawner.ts'
import type { Keeper } from '../keeper/keeper.ts'
import { log } from '../system/log.ts'
import type { User } from '../system/process/users.ts'
import { KeeperSpawner } from './keeper-spawner.ts'

const STDERR = 2

/** The part of a configuration, of one TPM or of a fleet, that the spawner depends on. */
interface SpawnerConfig {
  readonly daemonize: boolean
  readonly seccomp: SeccompAction
  readonly freshEngines?: boolean
}

/** In the background we close the terminal; an engine must not keep it open. */
const engineStderr = ({ daemonize }: SpawnerConfig): number | undefined =>
  daemonize && log.fd <= STDERR ? undefined : log.fd

/**
 * A process that starts engines of many TPMs, also when we cannot any more. Loaded when it is asked for: a single TPM does without.
 * @param user the user that they run as, if another than ours
 */
export async function startSpawner(config: SpawnerConfig, user?: User): Promise<Spawner> {
  const { Spawner } = await import('../engine-client/channel/spawner.ts')
  const { seccomp, freshEngines = false } = config
  return new Spawner({ logFd: engineStderr(config), user, seccomp, freshEngines })
}

/** The engines of one TPM, as children of the keeper. @param user undefined: the one that it has, or is the keeper's by now */
export const keeperSpawner = (keeper: Keeper, config: SpawnerConfig, user: User | undefined): KeeperSpawner =>
  new KeeperSpawner(keeper, { logFd: engineStderr(config), user })
