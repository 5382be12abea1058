/** A mode: a TPM in a state, or of a kind, that a test can ask for by a word. */
import type { TpmVersion } from '../../../contract/engine-options.ts'
import type { Exchange } from '../exchange.ts'
import type { Random } from '../random.ts'
import type { Responder } from '../responder.ts'

export interface ModeRow {
  readonly describe: string
  /** Of the value, for help; undefined: it takes none. */
  readonly value?: string
  /** It may be left out. */
  readonly optional?: boolean
  /** The only one that has it; undefined: both. */
  readonly version?: TpmVersion
  /** For completion. */
  readonly suggestions?: readonly string[]
  /**
   * What answers in the TPM's place; undefined: it is brought about in the TPM itself.
   * @throws RangeError: that is no such value; what is allowed
   */
  readonly responder?: (value: string, random: Random) => Responder
  /** Of a mode that is brought about in the TPM. @throws RangeError */
  readonly check?: (value: string) => void
}

/** What the kernel's driver says in-band to whatever serves its device: no command of a TPM. */
export const isForDevice = ({ name }: Exchange): boolean => name === 'SetLocality'

/** @throws RangeError */
export function numberIn(text: string, least: number, most: number): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < least || number > most)
    throw new RangeError(`"${text}" is not a number from ${least} to ${most}`)
  return number
}
