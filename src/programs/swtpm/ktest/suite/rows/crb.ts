/** What the driver does with certain chips behind tpm_crb. */
import { expect, type MachineRow, notOk } from '../row.ts'

export const CRB_ROWS: readonly MachineRow[] = [
  {
    name: 'amd_ftpm_is_no_source_of_random_numbers',
    fix: 'tpm: Disable RNG for all AMD fTPMs',
    needs: ['HW_RANDOM_TPM'],
    root: 'memory',
    // "AMD" and a NUL.
    tpm: 'crb,fault=GetCapability[property=MANUFACTURER]: set=value:0x414d4400',
    script: 'echo device=$TPM_0; cat /sys/class/misc/hw_random/rng_available',
    judge({ stdout }) {
      if (!stdout.startsWith('device=/dev/tpm')) return notOk('there is no device')
      return expect(
        !/tpm-rng/.test(stdout),
        'the kernel takes random numbers of a chip that takes long for them',
      )
    },
  },
]
