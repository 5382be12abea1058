/** What takes a TPM 1.2 into a mode, in its own commands. Somebody who sits at the machine may do all of this. */
import { tpm12Command } from '../../../tpm-commands/command.ts'
import {
  physicalEnable,
  physicalPresence,
  physicalSetDeactivated,
  TPM_PHYSICAL_PRESENCE_CMD_ENABLE,
  TPM_PHYSICAL_PRESENCE_PRESENT,
} from '../../../tpm-commands/tpm12-presence.ts'
import { TPM_ORD } from '../../../tpm-structures/command-codes.ts'
import type { Send } from './send.ts'

async function bePresent(send: Send): Promise<void> {
  await send(physicalPresence(TPM_PHYSICAL_PRESENCE_CMD_ENABLE))
  await send(physicalPresence(TPM_PHYSICAL_PRESENCE_PRESENT))
}

export async function disable(send: Send): Promise<void> {
  await bePresent(send)
  await send(tpm12Command(TPM_ORD.PhysicalDisable))
}

export async function deactivate(send: Send): Promise<void> {
  await bePresent(send)
  await send(physicalEnable())
  await send(physicalSetDeactivated(true))
}

/** Enabled and active afterwards. */
export async function forceClear(send: Send): Promise<void> {
  await bePresent(send)
  await send(tpm12Command(TPM_ORD.ForceClear))
  await send(physicalEnable())
  await send(physicalSetDeactivated(false))
}
