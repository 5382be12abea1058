/** Writes a recording while it is made. */
import { closeSync, constants, fchmodSync, fstatSync, openSync, statSync, writeSync } from 'node:fs'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { type RecordingHeader, recordingHeader, recordingLine } from './tpmrec.ts'

/** Commands may hold authorization values. */
const MODE = 0o600

export class RecordingFile {
  readonly #path: string
  #fd: number | undefined

  /**
   * A file that is there is written anew.
   * @throws SwtpmError SWTPM_ERR_RECORDING
   */
  constructor(path: string, header: Omit<RecordingHeader, 'tpmrec'>) {
    this.#path = path
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants
    try {
      // A pipe that is full does not hold up the TPM. A device, such as a virtual machine's channel, takes what it is given.
      const patience = statSync(path, { throwIfNoEntry: false })?.isCharacterDevice() ? 0 : O_NONBLOCK
      this.#fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | patience, MODE)
      if (fstatSync(this.#fd).isFile()) fchmodSync(this.#fd, MODE)
      writeWhole(this.#fd, recordingHeader(header))
    } catch (error) {
      this.close()
      throw new SwtpmError(
        'SWTPM_ERR_RECORDING',
        `Cannot write the recording "${path}": ${reasonOf(error)}`,
        {
          cause: error,
        },
      )
    }
  }

  /** Nothing is kept in memory. A full disk ends the recording, with a line in the log, and nothing else. */
  write(exchange: TracedExchange): void {
    if (this.#fd === undefined) return
    try {
      writeWhole(this.#fd, recordingLine(exchange))
    } catch (error) {
      log.error(`Cannot write the recording "${this.#path}": ${reasonOf(error)}; nothing more is recorded`)
      this.close()
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

/** A disk that is nearly full takes a part. */
function writeWhole(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
}
