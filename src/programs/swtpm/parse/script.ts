/** `--fault` and what belongs to it: what a script does to the commands of a TPM. */
import type { ScriptConfig } from '../../../serve/config.ts'
import type { Given } from '../../common/options/given-options.ts'
import { CommandLineError } from '../exit/command-line-error.ts'
import { scriptSocketOf } from './endpoint.ts'

/** The rules are read when the scripts are loaded, which a TPM without any does not do. @throws {CommandLineError} */
export function scriptOf(given: Given<'fault' | 'fault-seed' | 'script-socket'>): ScriptConfig | undefined {
  const faults = given.all('fault')
  const seed = given.text('fault-seed')
  const socket = scriptSocketOf(given)
  if (faults.length === 0 && socket === undefined) {
    if (seed !== undefined)
      throw new CommandLineError(
        'general',
        '--fault-seed: there is no --fault or --script-socket that it could be for',
        'fault-seed',
      )
    return undefined
  }
  return { faults, faultSeed: seed === undefined ? undefined : numberFrom0('fault-seed', seed), socket }
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
