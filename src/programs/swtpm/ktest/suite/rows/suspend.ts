/** Suspend to RAM, which takes a TPM as hardware. */
import { expect, type MachineResult, type MachineRow, notOk, type Verdict } from '../row.ts'

const REFUSED = 10
const SUSPEND = `ktest-suspend 2 || exit ${REFUSED}`
/** The kernel has the TPM used. */
const USE = '[ "$(head -c 8 /dev/hwrng | wc -c)" = 8 ]'

function went({ status, log }: MachineResult): Verdict {
  if (status === REFUSED) return notOk('the kernel does not suspend')
  if (!log.some((line) => /system sleep state S3/.test(line))) return notOk('it has not been suspended')
  return expect(status === 0, 'afterwards the TPM gives no random numbers')
}

export const SUSPEND_ROWS: readonly MachineRow[] = [
  {
    name: 'suspend_goes_on_when_the_tpm_fails',
    fix: 'tpm: Allow system suspend to continue when TPM suspend fails',
    // What TPM 2.0 answers has never mattered there.
    root: 'memory',
    tpm: 'tis,1.2,fault=SaveState: rc=0x9',
    script: SUSPEND,
    judge: went,
  },
  {
    name: 'hwrng_in_use_while_suspending',
    fix: 'tpm: Prevent hwrng from activating during resume',
    root: 'memory',
    tpm: 'tis',
    script: `(while :; do head -c 64 /dev/hwrng; done >/dev/null 2>&1 &); ${SUSPEND}; ${USE}`,
    judge(result) {
      const error = result.log.find((line) => /^tpm.*(?:error|tpm_try_transmit|Operation)/i.test(line))
      return error === undefined ? went(result) : notOk(error)
    },
  },
  {
    name: 'session_ends_before_shutdown',
    fix: 'tpm: End any active auth session before shutdown',
    needs: ['TCG_TPM2_HMAC'],
    root: 'memory',
    tpm: 'tis',
    script: `${USE}; ${SUSPEND}`,
    judge(result) {
      const verdict = went(result)
      if (verdict.outcome !== 'ok') return verdict
      const shutdown = result.trace.findIndex((line) => / Shutdown shutdownType STATE/.test(line))
      const before = result.trace.slice(0, shutdown)
      const started = before.findLastIndex((line) => / StartAuthSession .* \u2192 SUCCESS/.test(line))
      if (started < 0) return notOk('the kernel has begun no session')
      const ended = before
        .slice(started)
        .some((line) => / FlushContext .*(?:hmac|0x02)|auth\(hmac:\d+(?! continue)/.test(line))
      return expect(ended, "the kernel's session is open while the TPM is shut down")
    },
  },
]
