/** `--seed-insecure`. */

import type { Given } from '../../programs/common/options/given-options.ts'
import type { CommonConfig, LogConfig, StateLocation } from '../../serve/config.ts'
import { CommandLineError } from '../exit/command-line-error.ts'
import { numberFrom0 } from './script.ts'

/** @throws {CommandLineError} */
export function seedOf(given: Given<'seed-insecure'>): number | undefined {
  const text = given.text('seed-insecure')
  return text === undefined ? undefined : numberFrom0('seed-insecure', text)
}

/** Every line of the log says that the TPM keeps no secret. */
export const withSeedInPrefix = (log: LogConfig, seed: number | undefined): LogConfig =>
  seed === undefined ? log : { ...log, prefix: `${log.prefix}insecure seed ${seed}: ` }

/** A TPM that exists has secrets, and none is to come in. @throws {CommandLineError} */
export function refuseExistingTpm(
  state: StateLocation,
  { seedInsecure, migration }: Pick<CommonConfig, 'seedInsecure' | 'migration'>,
): void {
  if (seedInsecure === undefined) return
  if (state.kind !== 'dir')
    throw refused('a state file cannot be marked as having no secrets: give --tpmstate dir=DIR')
  if (migration.incoming)
    throw refused('a TPM that comes from elsewhere has secrets: leave out --migration incoming')
}

const refused = (reason: string): CommandLineError =>
  new CommandLineError('general', `--seed-insecure: ${reason}`, 'seed-insecure')
