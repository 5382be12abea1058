import { resultCodes } from '../tpm-structures/result-codes.ts'

/**
 * The response codes of TPM 2.0 by their names, without TPM_RC_ and without the place that some have.
 * @see TPM 2.0 Part 2, 6.6
 * @example
 * ```js
 * import { RC } from 'swtpm'
 *
 * console.log(RC.RETRY === 0x922) // true
 * ```
 */
export const RC: Readonly<Record<string, number>> = Object.freeze(resultCodes())
