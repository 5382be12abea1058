/**
 * `--suite driver`: regressions of the kernel's TPM driver that a TPM can provoke by what it answers. Each row names the change
 * that fixed it, so that a kernel without that change is told what it lacks. Only what has been published is looked for.
 */
import type { GuestRow, MachineRow } from './row.ts'
import { DEVICE_ROWS } from './rows/device.ts'
import { REGISTRATION_ROWS } from './rows/registration.ts'
import { SESSION_ROWS } from './rows/sessions.ts'
import { SUSPEND_ROWS } from './rows/suspend.ts'
import { TPM12_ROWS } from './rows/tpm12.ts'

export interface Suite {
  readonly guestRows: readonly GuestRow[]
  readonly machineRows: readonly MachineRow[]
}

export const DRIVER: Suite = {
  guestRows: [...REGISTRATION_ROWS, ...DEVICE_ROWS, ...SESSION_ROWS, ...TPM12_ROWS],
  machineRows: SUSPEND_ROWS,
}
