/** A command line that cannot be obeyed, and how swtpm then exits. */
import type { Interface } from '../../../serve/config.ts'
import { UsageError } from '../../common/options/usage-error.ts'

/**
 * Exit codes of the reference for a bad command line. Its cuse interface returns small negative numbers from main(),
 * which the shell sees as 256 less; socket and chardev know 1 only.
 */
export const exitCodes = {
  /** set-up failed: stray argument, unknown option, `--log` */
  setup: { socket: 1, chardev: 1, cuse: 1 },
  /** a value outside the lists of sub-options, no state directory, the device exists already */
  general: { socket: 1, chardev: 1, cuse: 255 },
  /** no device name */
  noName: { socket: 1, chardev: 1, cuse: 254 },
  /** a bad list of sub-options */
  badOption: { socket: 1, chardev: 1, cuse: 253 },
  /** not root */
  setuid: { socket: 1, chardev: 1, cuse: 252 },
  /** `--runas`: no such user */
  runas: { socket: 1, chardev: 1, cuse: 251 },
  /** the pid file could not be written */
  pidFile: { socket: 1, chardev: 1, cuse: 243 },
  /** the seccomp profile could not be installed */
  seccomp: { socket: 1, chardev: 1, cuse: 242 },
} as const satisfies { [reason: string]: { [I in Interface]: number } }

/** Why a command line is refused; a row of {@link exitCodes}. */
export type ExitReason = keyof typeof exitCodes

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
    return exitCodes[this.reason][iface]
  }
}
