/** What a row of swtpm's option table has besides the columns that all programs have. */

import type { OptionSpec } from '../../programs/common/options/option-table.ts'
import type { Interface } from '../../serve/config.ts'

export interface OptionRow extends OptionSpec {
  /** The interfaces that know this option. */
  readonly interfaces: readonly Interface[]
  /** First release of swtpm that had it; absent: since the manual page's beginnings. */
  readonly since?: string
  /**
   * The interfaces for which this is an extension that the reference does not have. There it must be written out in full,
   * so that it never makes an abbreviation ambiguous that the reference accepts.
   */
  readonly extension?: readonly Interface[]
}
