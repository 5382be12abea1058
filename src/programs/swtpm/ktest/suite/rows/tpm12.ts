/** TPM 1.2. */

import { GET_RANDOM_12 } from '../commands.ts'
import { expect, type GuestRow, notOk } from '../row.ts'
import { codeOf, told } from '../tpm-file.ts'

/** TPM_CAP_PROP_TIS_TIMEOUT as a chip gives it that means milliseconds: 750, 2000, 750, 750. */
const TIMEOUTS_IN_MS = '00c40000001e0000000000000010000002ee000007d0000002ee000002ee'

export const TPM12_ROWS: readonly GuestRow[] = [
  {
    name: 'tpm12_blocks_in_self_test',
    fix: 'TPM: Work around buggy TPMs that block during continue self test',
    async judge(guest) {
      const tpm = await guest.tpm({ version: '1.2', faults: ['PCRRead#1: delay=400ms'] })
      if (tpm === undefined) return notOk('there is no device')
      const response = tpm.open(tpm.device).exchange(GET_RANDOM_12)
      return expect(codeOf(response) === 0, `GetRandom: ${told(response)}`)
    },
  },
  {
    name: 'tpm12_timeouts_in_ms',
    fix: 'tpm1_get_timeouts(): timeouts below 1000 are milliseconds',
    async judge(guest) {
      const tpm = await guest.tpm({ version: '1.2', faults: [`GetCapability#1: respond=${TIMEOUTS_IN_MS}`] })
      if (tpm === undefined) return notOk('there is no device')
      const adjusted = guest.log().some((line) => /Adjusting reported timeouts: A 750->750000us/.test(line))
      return expect(adjusted, 'the timeouts are taken for microseconds')
    },
  },
]
