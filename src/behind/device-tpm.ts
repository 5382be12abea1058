/** A TPM behind a character device, such as /dev/tpm0, /dev/tpmrm0 or one of CUSE. */
import { closeSync, constants, openSync, read, write } from 'node:fs'
import { promisify } from 'node:util'
import { whenReadable } from '../system/io/when-readable.ts'
import {
  ANSWER_LIMIT_MS,
  late,
  MAX_RESPONSE_BYTES,
  type OtherTpm,
  otherTpmFault,
  Turns,
} from './other-tpm.ts'

/** In threads of their own: a device may block although it was asked not to. */
const writeTo = promisify(write)
const readFrom = promisify(read)

export class DeviceTpm implements OtherTpm {
  readonly name: string
  readonly #turns = new Turns()
  #fd: number | undefined
  /** It has not answered a command that was given up; its next response is to that one. */
  #owes = false
  #stopWaiting: () => void = () => {}

  /** @throws SwtpmError SWTPM_ERR_OTHER_TPM */
  constructor(path: string) {
    this.name = path
    this.#open()
  }

  ask(command: Buffer): Promise<Buffer> {
    return this.#turns.take(async () => {
      const fd = this.#fd ?? this.#open()
      try {
        if (this.#owes) await this.#response(fd)
        this.#owes = false
        await writeTo(fd, command, 0, command.length, null)
        return await this.#response(fd)
      } catch (error) {
        if (!this.#owes) this.close()
        throw otherTpmFault(this.name, error)
      }
    })
  }

  close(): void {
    this.#stopWaiting()
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    this.#owes = false
  }

  #open(): number {
    try {
      // The driver then executes the command by itself, and nobody who ends has to wait for it in the kernel.
      this.#fd = openSync(this.name, constants.O_RDWR | constants.O_NONBLOCK)
      return this.#fd
    } catch (error) {
      const busy = (error as NodeJS.ErrnoException).code === 'EBUSY'
      throw otherTpmFault(
        this.name,
        busy
          ? new Error(
              'another program has it open; end that, or name the resource manager, such as /dev/tpmrm0',
            )
          : error,
      )
    }
  }

  async #response(fd: number): Promise<Buffer> {
    await this.#readable(fd)
    const { bytesRead, buffer } = await readFrom(
      fd,
      Buffer.alloc(MAX_RESPONSE_BYTES),
      0,
      MAX_RESPONSE_BYTES,
      null,
    )
    if (bytesRead === 0) throw new Error('it gives an empty response')
    return buffer.subarray(0, bytesRead)
  }

  #readable(fd: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        stop()
        this.#owes = true
        reject(late())
      }, ANSWER_LIMIT_MS)
      const stop = whenReadable(fd, () => {
        clearTimeout(timer)
        resolve()
      })
      this.#stopWaiting = () => {
        clearTimeout(timer)
        stop()
        reject(new Error('it was closed'))
      }
    })
  }
}
