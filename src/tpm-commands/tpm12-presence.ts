/** What a BIOS and a manufacturer do to a TPM 1.2: physical presence, enable, activate. @see TPM 1.2 Part 3, 6 "Admin Opt-in" */

import { TPM_ORD } from '../tpm-structures/command-codes.ts'
import { u8, u16 } from './bytes.ts'
import { tpm12Command } from './command.ts'

export const TPM_PHYSICAL_PRESENCE_LOCK = 0x04
export const TPM_PHYSICAL_PRESENCE_PRESENT = 0x08
export const TPM_PHYSICAL_PRESENCE_NOTPRESENT = 0x10
export const TPM_PHYSICAL_PRESENCE_CMD_ENABLE = 0x20

/** @param flags TPM_PHYSICAL_PRESENCE_… */
export const physicalPresence = (flags: number): Buffer =>
  tpm12Command(TPM_ORD.TSC_PhysicalPresence, u16(flags))

export const physicalEnable = (): Buffer => tpm12Command(TPM_ORD.PhysicalEnable)

export const physicalSetDeactivated = (deactivated: boolean): Buffer =>
  tpm12Command(TPM_ORD.PhysicalSetDeactivated, u8(deactivated ? 1 : 0))
