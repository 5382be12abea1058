/** What the supervisor gives up once everything is open: what is left is to decide, to answer, and to clean up. */

import { constants } from 'node:os'
import type { SeccompAction } from '../../contract/engine-options.ts'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { check } from '../system/native/check.ts'
import { native } from '../system/native/load.ts'

/** What root keeps, to remove its files from directories of other users. @see linux/capability.h */
const CAP_DAC_OVERRIDE = 1
const CAP_FOWNER = 3
/** What a vTPM proxy device takes to be made. */
const CAP_SYS_ADMIN = 21

/**
 * For good: no core dump and no debugger of the same user, no capabilities that are not needed, no new privileges, and
 * `--seccomp` as far as it concerns this process.
 * @param makesDevices there will be devices to make yet
 * @throws SwtpmError SWTPM_ERR_PRIVILEGE, SWTPM_ERR_SECCOMP
 */
export function confine(seccomp: SeccompAction, makesDevices = false): void {
  try {
    check(native.setDumpable(false), 'forbid core dumps')
    check(native.disableCoreDumps(), 'forbid core dumps')
    check(native.setNoNewPrivileges(), 'forbid new privileges')
    // Another user has lost them with the change of user.
    if (process.geteuid?.() === 0) dropCapabilities(makesDevices)
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_PRIVILEGE', (error as Error).message, { cause: error })
  }
  if (seccomp !== 'none') forbidSystemCalls(seccomp === 'kill')
}

function dropCapabilities(makesDevices: boolean): void {
  const kept = [CAP_DAC_OVERRIDE, CAP_FOWNER, ...(makesDevices ? [CAP_SYS_ADMIN] : [])]
  const result = native.dropCapabilities(kept)
  if (result === -constants.errno.ENOENT)
    log.warn('Cannot drop the capabilities of all threads: under a new root directory this needs its /proc')
  else check(result, 'drop the capabilities of all threads')
}

function forbidSystemCalls(kill: boolean): void {
  try {
    check(native.forbidSystemCalls(kill), 'install the seccomp filter')
  } catch (error) {
    throw new SwtpmError(
      'SWTPM_ERR_SECCOMP',
      `${(error as Error).message}; --seccomp action=none does without`,
      { cause: error },
    )
  }
}
