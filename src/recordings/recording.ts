/** A whole recording in memory, to be played or replayed. */
import { createReadStream, statSync } from 'node:fs'
import type { TpmVersion } from '../../contract/engine-options.ts'
import { SwtpmError } from '../system/errors.ts'
import { reasonOf } from '../system/reason.ts'
import { decodeCommand } from '../tpm-structures/decode-command.ts'
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { exchangesFrom } from './exchanges.ts'
import type { RecordingAuth, RecordingHeader } from './tpmrec.ts'

/** A boot takes 100 kB. */
const MAX_FILE_BYTES = 256 * 1024 * 1024

export interface Recording {
  readonly path: string
  /** Undefined where it says nothing of itself, as a pcapng file. */
  readonly header: RecordingHeader | undefined
  readonly version: TpmVersion
  readonly exchanges: readonly TracedExchange[]
  readonly auths: readonly RecordingAuth[]
}

/**
 * @param path a .tpmrec, or anything else that `swtpm trace` reads
 * @throws SwtpmError SWTPM_ERR_RECORDING: it cannot be read, a line is wrong, or there is nothing in it
 */
export async function readRecording(path: string): Promise<Recording> {
  const exchanges: TracedExchange[] = []
  const auths: RecordingAuth[] = []
  let header: RecordingHeader | undefined
  let problem: string | undefined
  try {
    if (statSync(path).size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES >> 20} MiB`)
    const input = createReadStream(path)
    for await (const exchange of exchangesFrom(
      input,
      (text) => {
        problem ??= text
      },
      (line) => {
        if ('tpmrec' in line) header = line
        else auths.push(line)
      },
    ))
      exchanges.push(exchange)
  } catch (error) {
    throw fault(path, reasonOf(error), error)
  }
  if (problem !== undefined) throw fault(path, problem)
  const [first] = exchanges
  if (first === undefined) throw fault(path, 'there is no exchange in it')
  return { path, header, exchanges, auths, version: decodeCommand(first.command).version }
}

const fault = (path: string, reason: string, cause?: unknown): SwtpmError =>
  new SwtpmError('SWTPM_ERR_RECORDING', `Cannot use the recording "${path}": ${reason}`, { cause })
