/** A TPM that is not libtpms in an engine of ours: a device, or what listens on a socket. */
import { TPM_BUFFER_SIZE_BYTES } from '../../contract/limits.ts'
import { SwtpmError } from '../system/errors.ts'
import { reasonOf } from '../system/reason.ts'

export interface OtherTpm {
  /** For messages: `/dev/tpm0`. */
  readonly name: string
  /**
   * Sends a command. One at a time: others wait until it is answered or given up. What is gone is looked for again at the next one.
   * @throws SwtpmError SWTPM_ERR_OTHER_TPM: it is gone, in use, or does not answer in time
   */
  ask(command: Buffer): Promise<Buffer>
  close(): void
}

/** The Linux driver gives up no command before 300 s, which making a key may take. */
export const ANSWER_LIMIT_MS = 320_000
/** Some more than any response has, so that one that is too long is seen to be so. */
export const MAX_RESPONSE_BYTES = 2 * TPM_BUFFER_SIZE_BYTES

export const otherTpmFault = (name: string, error: unknown): SwtpmError =>
  new SwtpmError('SWTPM_ERR_OTHER_TPM', `Cannot use the TPM "${name}": ${reasonOf(error)}`, { cause: error })

export const late = (): Error => new Error(`it has not answered within ${ANSWER_LIMIT_MS / 1000} s`)

/** Has one piece of work wait for the other. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }
}
