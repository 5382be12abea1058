/** The time that a new engine has. */
import { within } from '../../system/time-limit.ts'
import { startError } from './continue-tpm.ts'

/**
 * How long a new engine may take until it is ready, and again until it has taken over. It takes some 20 ms; seconds on an
 * emulated or busy machine. Meanwhile clients of a TPM whose engine has died wait, and so does who asked to replace it.
 */
const NEW_ENGINE_LIMIT_MS = 30_000

/** @throws SwtpmError SWTPM_ERR_ENGINE_START when it takes too long */
export async function inTime(work: Promise<void>, late: string): Promise<void> {
  if ((await within(NEW_ENGINE_LIMIT_MS, work, 'late')) === 'late') {
    throw startError(`${late} within ${NEW_ENGINE_LIMIT_MS / 1000} s`)
  }
}
