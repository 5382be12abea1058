/** A command line that cannot be obeyed, and how swtpm then exits. */

import { UsageError } from '../../programs/common/options/usage-error.ts'
import type { Interface } from '../../serve/config.ts'

/**
 * Exit codes of the reference's cuse interface, which returns small negative numbers from main(): the shell sees 256 less. The
 * other interfaces exit with 1 whatever the reason.
 */
const CUSE_EXIT_CODES = {
  /** set-up failed: stray argument, unknown option, `--log` */
  setup: 1,
  /** a value outside the lists of sub-options, no state directory, the device exists already */
  general: 255,
  /** no device name */
  noName: 254,
  /** a bad list of sub-options */
  badOption: 253,
  /** not root */
  setuid: 252,
  /** `--runas`: no such user */
  runas: 251,
  /** the pid file could not be written */
  pidFile: 243,
  /** the seccomp profile could not be installed */
  seccomp: 242,
} as const

/** Why a command line is refused; a row of {@link CUSE_EXIT_CODES}. */
export type ExitReason = keyof typeof CUSE_EXIT_CODES

/** What the process exits with for a reason, when it was started for this interface. */
export const exitCodeFor = (reason: ExitReason, iface: Interface): number =>
  iface === 'cuse' ? CUSE_EXIT_CODES[reason] : 1

/** The message names the option, the value and what is allowed; print it after the program's name. */
export class CommandLineError extends UsageError {
  readonly code = 'SWTPM_ERR_COMMAND_LINE'
  readonly reason: ExitReason

  constructor(reason: ExitReason, message: string, option?: string) {
    super(message, option)
    this.name = 'CommandLineError'
    this.reason = reason
  }

  /** What the process exits with when it was started for this interface. */
  exitCode(iface: Interface): number {
    return exitCodeFor(this.reason, iface)
  }
}
