/** The kernel's own sessions with the TPM, which a kernel with CONFIG_TCG_TPM2_HMAC has. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { loadedIn } from '../commands.ts'
import {
  expect,
  type GuestRow,
  notOk,
  type SuiteGuest,
  type SuiteTpm,
  skipped,
  type Verdict,
} from '../row.ts'

const CURRENT_SOURCE = '/sys/class/misc/hw_random/rng_current'

/** Judges a TPM in whose sessions something goes wrong, once it has been registered. */
async function withSessions(
  guest: SuiteGuest,
  fault: string,
  judge: (tpm: SuiteTpm, random: () => number | undefined) => Verdict,
): Promise<Verdict> {
  const tpm = await guest.tpm({ faults: [fault] })
  if (tpm === undefined) return notOk('there is no device')
  const name = basename(tpm.device)
  if (!existsSync(`/sys/class/tpm/${name}/null_name`))
    return skipped('the kernel is built without TCG_TPM2_HMAC')
  const source = `tpm-rng-${name.slice('tpm'.length)}`
  const available = readFileSync('/sys/class/misc/hw_random/rng_available', 'utf8')
  if (!available.includes(source)) return skipped('the kernel is built without HW_RANDOM_TPM')
  writeFileSync(CURRENT_SOURCE, source)
  // How head ends says whether the kernel has had random numbers.
  return judge(tpm, () => guest.run('sh', ['-c', '[ "$(head -c 8 /dev/hwrng 2>/dev/null | wc -c)" = 8 ]']))
}

export const SESSION_ROWS: readonly GuestRow[] = [
  {
    name: 'refused_session',
    fix: 'tpm: Mask TPM RC in tpm2_start_auth_session()',
    judge: (guest) =>
      withSessions(guest, 'StartAuthSession#1-: rc=FAILURE', (_, random) =>
        expect(random() !== 0, 'a reader of /dev/hwrng is given the code of the error as random numbers'),
      ),
  },
  {
    name: 'session_of_failed_get_random',
    fix: 'tpm: Fix auth session leak in tpm2_get_random() error path',
    judge: (guest) =>
      withSessions(guest, 'GetRandom[session=hmac]: rc=FAILURE', (tpm, random) => {
        random()
        const left = loadedIn(tpm, 'session')
        return expect(left.length === 0, `${left.length} session stays in the TPM when GetRandom has failed`)
      }),
  },
]
