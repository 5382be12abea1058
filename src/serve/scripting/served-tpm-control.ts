/** What a script can do to a TPM that is served. */

import { wait } from '../../responders/time.ts'
import type { Forgettable, TpmControl } from '../../responders/tpm-control.ts'
import { SwtpmError } from '../../system/errors.ts'
import { log } from '../../system/log.ts'
import type { Tpm } from '../../tpm/tpm.ts'
import { forget } from './forget.ts'

/** The device or socket that a TPM is served on. */
export interface Plug {
  /** Takes it away: clients that have it open get errors. */
  out(): Promise<void>
  /** Makes it again. */
  in(): Promise<void>
}

export interface ControlledTpm {
  readonly tpm: Tpm
  /** Undefined while there is no device. */
  readonly plug: Plug | undefined
  /** The TPM is of no use any more. */
  unplugged(): void
  readonly ending: AbortSignal
}

/** @throws SwtpmError */
function requireOurs({ isElsewhere }: Tpm, what: string): void {
  if (isElsewhere)
    throw new SwtpmError(
      'SWTPM_ERR_OTHER_TPM',
      `Cannot ${what} the TPM: it is another one (--behind), which gets commands and nothing else`,
    )
}

export const controlOf = (served: ControlledTpm): TpmControl => ({
  crash: () => served.tpm.engine.crash(),
  async reset() {
    requireOurs(served.tpm, 'cut the power of')
    await served.tpm.reset()
  },
  async forget(thing: Forgettable) {
    requireOurs(served.tpm, 'have anything forgotten by')
    await forget(served.tpm, thing)
  },
  async unplug(backAfterMs) {
    const { plug } = served
    if (plug === undefined)
      throw new SwtpmError(
        'SWTPM_ERR_DEVICE',
        'Cannot unplug the TPM: this interface makes no device of its own',
      )
    await plug.out()
    log.info(backAfterMs === undefined ? 'Unplugged' : `Unplugged for ${backAfterMs} ms`)
    if (backAfterMs === undefined) return served.unplugged()
    await wait({ signal: served.ending }, backAfterMs)
    await plug.in()
  },
})
