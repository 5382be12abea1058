/** What the process exits with when something failed that was not the command line's fault. */
import type { Interface } from '../../serve/config.ts'
import type { SwtpmErrorCode } from '../../system/errors.ts'
import { CommandLineError, type ExitReason, exitCodeFor } from './command-line-error.ts'

const reasons: { readonly [code in SwtpmErrorCode]?: ExitReason } = {
  SWTPM_ERR_STATE_KEY: 'badOption',
  SWTPM_ERR_PRIVILEGE: 'setup',
  SWTPM_ERR_USER: 'runas',
  SWTPM_ERR_SECCOMP: 'seccomp',
  SWTPM_ERR_PID_FILE: 'pidFile',
  SWTPM_ERR_LOG: 'setup',
  SWTPM_ERR_DEVICE: 'setup',
}

/** The reference's exit code for a failure at start; only its cuse interface tells failures apart. */
export function exitCodeOf(error: unknown, iface: Interface): number {
  if (error instanceof CommandLineError) return error.exitCode(iface)
  const code = (error as { readonly code?: SwtpmErrorCode } | undefined)?.code
  const reason = code !== undefined && Object.hasOwn(reasons, code) ? reasons[code]! : 'general'
  return exitCodeFor(reason, iface)
}
