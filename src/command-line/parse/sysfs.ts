/** `--sysfs`: where the view of the TPM is mounted. */
import type { Given } from '../../programs/common/options/given-options.ts'
import { CommandLineError } from '../exit/command-line-error.ts'

/** @throws {CommandLineError} */
export function sysfsOf(given: Given<'sysfs' | 'behind'>): string | undefined {
  const directory = given.text('sysfs')
  if (directory === '')
    throw new CommandLineError('general', '--sysfs: the name of the directory is empty', 'sysfs')
  if (directory !== undefined && given.has('behind'))
    throw new CommandLineError(
      'general',
      '--sysfs: the TPM behind gets the commands of clients and no others; leave out --sysfs, or --behind',
      'sysfs',
    )
  return directory
}
