/** Where a TPM keeps what nobody asks it for, or what need not last. */
import type { StateLocation } from './state-location.ts'

export const IN_MEMORY: StateLocation = { kind: 'linear', path: '(in memory)', lock: false, inMemory: true }
