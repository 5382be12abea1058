/** Why a stored state is not what it should be. */
import { Fault } from '../../../system/errors.ts'

/**
 * `damaged`: it cannot be a state as any swtpm writes it. `key`: a key is missing, or is another one. `place`: there is
 * nothing, or it cannot be read.
 */
export type StateFaultKind = 'damaged' | 'key' | 'place'

export class StateFault extends Fault {
  readonly kind: StateFaultKind

  constructor(kind: StateFaultKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StateFault'
    this.kind = kind
  }
}

export const damaged = (message: string): StateFault => new StateFault('damaged', message)
