/**
 * `--suite driver`: regressions of the kernel's TPM driver that a TPM can provoke by what it answers. Each row names the change
 * that fixed it, so that a kernel without that change is told what it lacks. Only what has been published is looked for.
 */
import type { GuestRow, MachineRow } from './row.ts'
import { CRB_ROWS } from './rows/crb.ts'
import { DEVICE_ROWS } from './rows/device.ts'
import { RANDOM_ROWS } from './rows/random.ts'
import { REGISTRATION_ROWS } from './rows/registration.ts'
import { SESSION_ROWS } from './rows/sessions.ts'
import { SUSPEND_ROWS } from './rows/suspend.ts'
import { TPM12_ROWS } from './rows/tpm12.ts'
import { TRUSTED_KEY_ROWS } from './rows/trusted-keys.ts'

export interface Suite {
  readonly guestRows: readonly GuestRow[]
  readonly machineRows: readonly MachineRow[]
}

export const DRIVER: Suite = {
  guestRows: [...REGISTRATION_ROWS, ...DEVICE_ROWS, ...RANDOM_ROWS, ...SESSION_ROWS, ...TPM12_ROWS],
  machineRows: [...SUSPEND_ROWS, ...CRB_ROWS, ...TRUSTED_KEY_ROWS],
}
