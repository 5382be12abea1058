/** `--fault`, `--mode`, `--script-socket` and `--behind`: what a script does to the commands of a TPM. */

import type { Given } from '../../programs/common/options/given-options.ts'
import type { ScriptConfig } from '../../serve/config.ts'
import { CommandLineError } from '../exit/command-line-error.ts'
import { parseBehind } from './behind.ts'
import { scriptSocketOf } from './endpoint.ts'

/** The rules are read when the scripts are loaded, which a TPM without any does not do. @throws {CommandLineError} */
export function scriptOf(
  given: Given<'fault' | 'fault-seed' | 'script-socket' | 'behind' | 'mode' | 'script'>,
): ScriptConfig | undefined {
  const faults = given.all('fault')
  const seed = given.text('fault-seed')
  const socket = scriptSocketOf(given)
  const behind = given.text('behind')
  const modes = given.all('mode')
  const module = given.text('script')
  const hasScript = faults.length > 0 || socket !== undefined || modes.length > 0 || module !== undefined
  if (seed !== undefined && !hasScript)
    throw new CommandLineError(
      'general',
      '--fault-seed: there is no --fault, --mode, --script or --script-socket that it could be for',
      'fault-seed',
    )
  if (!hasScript && behind === undefined) return undefined
  return {
    faults,
    modes,
    faultSeed: seed === undefined ? undefined : numberFrom0('fault-seed', seed),
    module: module === undefined ? undefined : { path: module },
    socket,
    behind: behind === undefined ? undefined : behindOf(behind),
  }
}

/** @throws {CommandLineError} what is asked is not libtpms's, or not ours to keep */
export function refuseOwnState(
  given: Given<'behind' | 'tpmstate' | 'seed-insecure' | 'profile' | 'migration'>,
): void {
  const behind = behindOf(given.text('behind') as string)
  if (behind?.kind === 'recording' && behind.otherwise === 'ours') return
  for (const option of ['tpmstate', 'seed-insecure', 'profile', 'migration'] as const)
    if (given.has(option))
      throw new CommandLineError(
        'general',
        `--${option}: the TPM behind keeps its own state; leave out --${option}, or --behind`,
        option,
      )
}

function behindOf(text: string): ScriptConfig['behind'] {
  try {
    return parseBehind(text)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new CommandLineError('general', `--behind: ${error.message}`, 'behind')
  }
}

/** @throws {CommandLineError} */
export function numberFrom0(option: 'fault-seed' | 'seed-insecure', text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number > 0xffff_ffff)
    throw new CommandLineError(
      'general',
      `--${option}: "${text}" is not a number from 0 to 4294967295`,
      option,
    )
  return number
}
