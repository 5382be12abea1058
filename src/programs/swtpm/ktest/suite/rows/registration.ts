/** What the driver makes of a TPM that answers oddly while it is registered. */

import { GET_RANDOM } from '../commands.ts'
import { expect, type GuestRow, notOk, type SuiteGuest, type SuiteTpm, type Verdict } from '../row.ts'
import { codeOf, told } from '../tpm-file.ts'

const hex32 = (value: number): string => value.toString(16).padStart(8, '0')

const logged = (guest: SuiteGuest, pattern: RegExp): boolean => guest.log().some((line) => pattern.test(line))

/** Whether a TPM has all that a healthy one has, and works. */
function isHealthy(tpm: SuiteTpm | undefined): Verdict {
  if (tpm === undefined) return notOk('there is no device')
  if (tpm.resourceManager === undefined) return notOk('there is no resource manager')
  const response = tpm.open(tpm.resourceManager).exchange(GET_RANDOM)
  return expect(codeOf(response) === 0, `GetRandom: ${told(response)}`)
}

/** The answer of a TPM that has nine banks, one more than the driver has room for. */
const NINE_BANKS = ((): string => {
  const algorithms = ['0004', '000b', '000c', '000d', '0012', '0027', '0028', '0029', '0004']
  const selections = algorithms.map((algorithm) => `${algorithm}03ffffff`).join('')
  const body = `0000000005${hex32(algorithms.length)}${selections}`
  return `8001${hex32(10 + body.length / 2)}00000000${body}`
})()

export const REGISTRATION_ROWS: readonly GuestRow[] = [
  {
    name: 'pcr_banks_are_capped',
    fix: 'tpm: Cap the number of PCR banks',
    async judge(guest) {
      const tpm = await guest.tpm({ faults: [`GetCapability[capability=PCRS]: respond=${NINE_BANKS}`] })
      return expect(tpm === undefined, 'a TPM with nine banks has been registered')
    },
  },
  {
    name: 'command_list_of_wrong_length',
    fix: 'tpm: fix error return code in tpm2_get_cc_attrs_tbl()',
    async judge(guest) {
      const tpm = await guest.tpm({ faults: ['GetCapability[capability=COMMANDS]: set=data.count:1'] })
      return expect(
        tpm?.resourceManager === undefined,
        'a TPM with one command of a hundred has been registered as healthy',
      )
    },
  },
  {
    name: 'self_test_goes_on',
    fix: 'tpm: React correctly to RC_TESTING from TPM 2.0 self tests',
    judge: async (guest) => isHealthy(await guest.tpm({ faults: ['SelfTest: rc=TESTING'] })),
  },
  {
    name: 'field_upgrade_mode',
    fix: 'tpm2_auto_startup(): a TPM that answers UPGRADE is registered, for new firmware alone',
    async judge(guest) {
      const tpm = await guest.tpm({ faults: ['SelfTest|Startup|GetCapability|GetRandom: rc=UPGRADE'] })
      if (tpm === undefined) return notOk('there is no device by which firmware could be loaded')
      if (tpm.resourceManager !== undefined) return notOk('it has been registered as healthy')
      return expect(logged(guest, /in field upgrade mode/), 'the log does not say so')
    },
  },
  {
    name: 'hangup_at_registration',
    fix: 'tpm: Fix null pointer dereference on chip register error path',
    async judge(guest) {
      // Every command up to the end of registration, and one more.
      for (const nth of [1, 2, 3, 4]) await guest.tpm({ faults: [`*#${nth}: hangup`] })
      return isHealthy(await guest.tpm())
    },
  },
]
