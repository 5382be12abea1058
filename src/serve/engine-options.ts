/** What an engine must know of the command line. */

import type { EngineOptions } from '../engine-client/channel/engine-program.ts'
import { log } from '../system/log.ts'
import type { CommonConfig, StoredTpm } from './config.ts'

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
    trace:
      config.pcap !== undefined ||
      config.trace !== undefined ||
      config.record !== undefined ||
      log.isEnabled(COMMAND_BYTES),
    logLevel: config.log.level,
    logPrefix: config.log.prefix,
    resourceManager: config.resourceManager,
    seedInsecure: config.seedInsecure === undefined ? '' : String(config.seedInsecure),
  }
}
