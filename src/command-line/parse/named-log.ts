/** The log that a wrong command line names. */
import { GivenOptions } from '../../programs/common/options/given-options.ts'
import type { OptionTable } from '../../programs/common/options/option-table.ts'
import { readInSpiteOfFaults } from '../../programs/common/options/read-options.ts'
import { UsageError } from '../../programs/common/options/usage-error.ts'
import type { Logging } from '../exit/report-failure.ts'
import { logOf } from './output.ts'

/** @returns undefined where `--log` itself is wrong */
export function namedLog(table: OptionTable, argv: readonly string[]): Logging | undefined {
  const { list } = readInSpiteOfFaults(table, argv)
  const given = new GivenOptions<OptionTable>(list, [])
  try {
    return { log: logOf(given, process.env), chroot: given.text('chroot') }
  } catch (error) {
    if (error instanceof UsageError) return undefined
    throw error
  }
}
