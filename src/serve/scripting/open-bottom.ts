/** What a script needs of the outside: the TPM behind, or the recording that is played. */
import { join } from 'node:path'
import { asking } from '../../behind/asking.ts'
import { openOtherTpm } from '../../behind/open-other-tpm.ts'
import { Player } from '../../behind/playing.ts'
import { readRecording } from '../../recordings/recording.ts'
import type { Responder } from '../../responders/responder.ts'
import { SwtpmError } from '../../system/errors.ts'
import type { ScriptConfig, TpmVersion } from '../config.ts'

/** What answers in place of libtpms. */
export interface Bottom {
  /** For messages. */
  readonly text: string
  /** @param stop ends the TPM */
  responder(stop: () => void): Responder
  close(): void
}

/**
 * @param root the directory that will be the root
 * @returns undefined: libtpms answers
 * @throws SwtpmError
 */
export async function openBottom(
  { behind }: ScriptConfig,
  version: TpmVersion,
  root: string,
): Promise<Bottom | undefined> {
  if (behind === undefined) return undefined
  if (behind.kind !== 'recording') {
    const other = await openOtherTpm(behind, root)
    return {
      text: `--behind ${behind.kind}:${other.name}`,
      responder: () => asking(other),
      close: () => other.close(),
    }
  }
  const recording = await readRecording(root === '' ? behind.path : join(root, behind.path))
  if (recording.version !== version)
    throw new SwtpmError(
      'SWTPM_ERR_RECORDING',
      `Cannot play the recording "${behind.path}": it is of a TPM ${recording.version}; ${
        version === '2' ? 'leave out --tpm2' : 'give --tpm2'
      }`,
    )
  const player = new Player(recording, behind)
  return {
    text: `--behind recording:${behind.path}`,
    responder: (stop) => player.responder(stop),
    close: () => player.report(),
  }
}
