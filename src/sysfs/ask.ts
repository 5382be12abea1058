/** Commands to a TPM that is served, beside those of its clients: by the engine's channel, and not by its device. */
import { constants } from 'node:os'
import { STATE_BLOBS } from '../../contract/state-blobs.ts'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import { SwtpmError } from '../system/errors.ts'
import { delay, within } from '../system/time-limit.ts'
import type { Tpm } from '../tpm/tpm.ts'
import { responseCode } from '../tpm-commands/command.ts'

/**
 * Sends a command, and waits until the TPM has ended what it is at.
 * @returns undefined where the TPM refuses it
 * @throws ReadError: there is no answer
 */
export type Ask = (command: Buffer) => Promise<Buffer | undefined>

/** Why a read() fails. */
export class ReadError extends Error {
  /** Positive. */
  readonly errno: number

  constructor(code: 'EIO' | 'EINVAL' | 'ETIME') {
    super(code)
    this.errno = constants.errno[code]
  }
}

/** As long as Linux waits for the longest command of a TPM. @see TPM2_DURATION_LONG_LONG of its driver */
const LIMIT_MS = 300_000
/** A TPM 2.0 has something to finish first. @see TPM 2.0 Part 2, 6.6.3 TPM_RC_RETRY */
const TPM_RC_RETRY = 0x922
const AGAIN_AFTER_MS = 20
/** Engines that may die over one command before it is to blame. */
const ENGINES = 3

export const askOf =
  (tpm: Tpm): Ask =>
  async (command) => {
    const response = await within(LIMIT_MS, answerOf(tpm, command), undefined)
    if (response === undefined) throw new ReadError('ETIME')
    switch (responseCode(response)) {
      case TPM_SUCCESS:
        return response
      case undefined:
        throw new ReadError('EIO')
      default:
        return undefined
    }
  }

/** @throws ReadError */
async function answerOf(tpm: Tpm, command: Buffer): Promise<Buffer> {
  for (const until = Date.now() + LIMIT_MS; ; await delay(AGAIN_AFTER_MS)) {
    const response = await processed(tpm, command)
    if (responseCode(response) !== TPM_RC_RETRY || Date.now() > until) return response
  }
}

/**
 * A client has saved the state of a TPM 1.2 for a start that is to follow, as a machine does that is suspended. Any command would make
 * it invalid, and the TPM fail at that start. Linux reads nothing then either: who could read is frozen.
 */
async function hasSavedState({ version, engine }: Tpm): Promise<boolean> {
  return version === '1.2' && (await engine.peekState(STATE_BLOBS.savestate.type)).tpmResult === TPM_SUCCESS
}

async function processed(tpm: Tpm, command: Buffer): Promise<Buffer> {
  for (let engine = 1; tpm.running; engine++) {
    try {
      if (await hasSavedState(tpm)) break
      // Traces have what clients ask.
      const { tpmResult, response } = await tpm.engine.process(command, undefined, { isUntold: true })
      if (tpmResult === TPM_SUCCESS) return response
      break
    } catch (error) {
      if (!(error instanceof SwtpmError)) throw error
      // What is asked changes nothing, so the next engine may be asked again.
      if (engine === ENGINES) break
    }
  }
  throw new ReadError('EIO')
}
