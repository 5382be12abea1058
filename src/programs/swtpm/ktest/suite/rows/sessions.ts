/** The kernel's own sessions with the TPM, which a kernel with CONFIG_TCG_TPM2_HMAC has. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, type GuestRow, notOk, type SuiteGuest, skipped, type Verdict } from '../row.ts'

const CURRENT_SOURCE = '/sys/class/misc/hw_random/rng_current'

/** Judges a TPM in whose sessions something goes wrong, once it has been registered. */
async function withSessions(
  guest: SuiteGuest,
  fault: string,
  judge: (random: () => number | undefined) => Verdict,
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
  return judge(() => guest.run('sh', ['-c', '[ "$(head -c 8 /dev/hwrng 2>/dev/null | wc -c)" = 8 ]']))
}

export const SESSION_ROWS: readonly GuestRow[] = [
  {
    name: 'refused_session',
    fix: 'tpm: Mask TPM RC in tpm2_start_auth_session()',
    judge: (guest) =>
      withSessions(guest, 'StartAuthSession#1-: rc=FAILURE', (random) =>
        expect(random() !== 0, 'a reader of /dev/hwrng is given the code of the error as random numbers'),
      ),
  },
]
