/** What the supervisor gives up once everything is open: the `--seccomp` option, as far as it concerns this process. */
import { SwtpmError } from '../errors.ts'
import { check, native } from '../native.ts'
import type { SeccompAction } from './config.ts'

/** @throws SwtpmError SWTPM_ERR_SECCOMP */
export function forbidSystemCalls(action: SeccompAction): void {
  if (action === 'none') return
  try {
    check(native.forbidSystemCalls(action === 'kill'), 'install the seccomp filter')
  } catch (error) {
    throw new SwtpmError(
      'SWTPM_ERR_SECCOMP',
      `Error: ${(error as Error).message}; --seccomp action=none does without`,
      { cause: error },
    )
  }
}
