/** The kernel's own sessions with the TPM, which a kernel with CONFIG_TCG_TPM2_HMAC has. */
import { GET_RANDOM } from '../commands.ts'
import { expect, type GuestRow, needs, notOk, type SuiteGuest, type SuiteTpm, type Verdict } from '../row.ts'
import { told } from '../tpm-file.ts'
import { ANOTHER_NULL_KEY } from './another-null-key.ts'
import { hasSessions, randomSource } from './random.ts'

type Random = () => number | undefined

/** Judges a TPM in whose sessions something goes wrong. The kernel begins one for random numbers, of which it takes some at once. */
async function withSessions(
  guest: SuiteGuest,
  faults: readonly string[],
  judge: (random: Random, tpm: SuiteTpm) => Verdict,
): Promise<Verdict> {
  const tpm = await guest.tpm({ faults })
  if (tpm === undefined) return notOk('there is no device')
  if (!hasSessions(tpm)) return needs('TCG_TPM2_HMAC')
  const random = randomSource(guest, tpm)
  return random === undefined ? needs('HW_RANDOM_TPM') : judge(random, tpm)
}

/** The kernel's key is not the one that it was: a TPM has been put in place of the TPM. */
const disabled = (random: Random, tpm: SuiteTpm): Verdict => {
  random()
  const response = tpm.open(tpm.device).exchange(GET_RANDOM)
  return expect(typeof response === 'string', `the TPM is still used: ${told(response)}`)
}

/** The second and later ones: the kernel makes its key anew when it cannot load the one that it had saved. */
const NEW_KEY = 'CreatePrimary[primaryHandle=NULL]#2-'
const LOST_KEY = 'ContextLoad: rc=INTEGRITY@p1'

export const SESSION_ROWS: readonly GuestRow[] = [
  {
    name: 'refused_session',
    fix: 'tpm: Mask TPM RC in tpm2_start_auth_session()',
    judge: (guest) =>
      withSessions(guest, ['StartAuthSession: rc=FAILURE'], (random) =>
        expect(random() !== 0, 'a reader of /dev/hwrng is given the code of the error as random numbers'),
      ),
  },
  {
    name: 'null_key_cannot_be_made_again',
    fix: 'tpm: Disable TPM on tpm2_create_primary() failure',
    judge: (guest) => withSessions(guest, [LOST_KEY, `${NEW_KEY}: rc=FAILURE`], disabled),
  },
  {
    name: 'null_key_is_another_one',
    fix: 'tpm: Disable TPM on null key name mismatch',
    judge: (guest) => withSessions(guest, [LOST_KEY, `${NEW_KEY}: respond=${ANOTHER_NULL_KEY}`], disabled),
  },
]
